"""Images without an engine and without a registry: one layer with a program and the libraries it loads."""

import hashlib
import io
import json
import platform
import re
import subprocess
import tarfile


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
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
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
