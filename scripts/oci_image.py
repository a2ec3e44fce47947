"""Writes the OCI image of static binaries, one layer with /hybridge for each platform, the configuration of the
Dockerfile's stage: oci_image.py OUT.tar VERSION BINARY…

With BASE=DIR in the environment the layer also has the files of DIR: what a dynamic binary loads. NAME is the image's."""

import gzip
import hashlib
import io
import json
import os
import struct
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
# e_machine of an ELF file.
MACHINES = {62: "amd64", 183: "arm64"}


NAME = os.environ.get("NAME", "hybridge")


def base(archive, folder):
    """Everything below a folder, by name, owned by root, without times."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(folders + names):
            path = os.path.join(parent, name)
            info = archive.gettarinfo(path, arcname=os.path.relpath(path, folder))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with open(path, "rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)


def tar(files, folder=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        if folder:
            base(archive, folder)
        for name, data, mode in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def described(kind, data, **more):
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}


def platform_of(binary):
    (machine,) = struct.unpack_from("<H", binary, 18)
    if binary[:4] != b"\x7fELF" or machine not in MACHINES:
        sys.exit(f"FAIL image: no ELF file of x86-64 or AArch64 (machine {machine})")
    return {"architecture": MACHINES[machine], "os": "linux"}


def image(binary, version):
    """Configuration, layer and manifest of one platform."""
    layer = tar([("hybridge", binary, 0o755)], os.environ.get("BASE"))
    packed = gzip.compress(layer, mtime=0)
    config = json.dumps({
        **platform_of(binary),
        "config": {
            "User": "65532:65532",
            "Entrypoint": ["/hybridge"],
            "Cmd": ["run"],
            "Labels": {
                "org.opencontainers.image.title": NAME,
                "org.opencontainers.image.description": "Post-quantum TLS sidecar for AI inference",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0 OR MIT",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described("application/vnd.oci.image.config.v1+json", config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
    }).encode()
    return config, packed, manifest


def main():
    out, version, *paths = sys.argv[1:]
    name = f"localhost/{NAME}:{version}"
    binaries = [open(path, "rb").read() for path in paths]
    images = [image(binary, version) for binary in binaries]
    blobs = [blob for one in images for blob in one]
    described_images = [described(MANIFEST, one[2], platform=platform_of(binary)) for one, binary in zip(images, binaries)]
    if len(images) == 1:
        top = described(MANIFEST, images[0][2])
    else:
        both = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": described_images}).encode()
        blobs.append(both)
        top = described(INDEX, both)
    top["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": version}
    index = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()

    def path(data):
        return f"blobs/sha256/{digest(data)[7:]}"

    # docker before 25 reads manifest.json, which knows one platform; everybody else reads index.json.
    config, packed, _ = images[0]
    legacy = json.dumps([{"Config": path(config), "RepoTags": [name], "Layers": [path(packed)]}]).encode()
    files = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), ("manifest.json", legacy)]
    files += [(path(data), data) for data in blobs]
    with open(out, "wb") as file:
        file.write(tar([(file_name, data, 0o644) for file_name, data in files]))
    for binary, (_, packed, _) in zip(binaries, images):
        print(f"PASS image: {out}: {name}, {platform_of(binary)['architecture']}, binary {len(binary)} bytes, layer {len(packed)} bytes")


main()
