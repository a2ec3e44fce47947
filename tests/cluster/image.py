"""Images without an engine and without a registry: one layer with a program and the libraries it loads.

image.py IMAGE FILE writes the program of a release's image for this machine to FILE."""

import gzip
import hashlib
import io
import json
import platform
import re
import subprocess
import sys
import tarfile

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def _tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def libraries(program):
    """What the dynamic loader would read, itself included; nothing for a static program."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True)
    return re.findall(r"(?:=> |^\s*)(/\S+) \(", listing.stdout, re.MULTILINE)


def build(program, entrypoint, arguments=(), user="65532:65532"):
    """Configuration and layer of an image with `program` as the entrypoint's first word."""
    files = [(entrypoint[0].lstrip("/"), open(program, "rb").read(), 0o755)]
    files += [(path.lstrip("/"), open(path, "rb").read(), 0o755) for path in libraries(program)]
    layer = _tar(files)
    configuration = json.dumps({
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {"User": user, "Entrypoint": list(entrypoint), "Cmd": list(arguments)},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }).encode()
    return configuration, layer


def write(archive, names, image):
    """Writes `archive` in docker's format, which containerd imports, with what `build` made."""
    configuration, layer = image
    named = hashlib.sha256(configuration).hexdigest() + ".json"
    manifest = json.dumps([{"Config": named, "RepoTags": list(names), "Layers": ["layer.tar"]}]).encode()
    with open(archive, "wb") as out:
        out.write(_tar([(named, configuration, 0o644), ("layer.tar", layer, 0o644), ("manifest.json", manifest, 0o644)]))


def program_of(archive, architecture=ARCHITECTURE):
    """The program of an OCI image, which may be one for several platforms."""
    with tarfile.open(archive) as files:
        blob = lambda described: files.extractfile(f"blobs/sha256/{described['digest'][7:]}").read()
        top = json.load(files.extractfile("index.json"))["manifests"][0]
        described = json.loads(blob(top))
        if "manifests" in described:
            described = next(one for one in described["manifests"] if one["platform"]["architecture"] == architecture)
            described = json.loads(blob(described))
        layer = gzip.decompress(blob(described["layers"][0]))
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        return files.extractfile("hybridge").read()


if __name__ == "__main__":
    with open(sys.argv[2], "wb") as out:
        out.write(program_of(sys.argv[1]))
