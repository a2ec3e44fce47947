#!/usr/bin/env bash
# Builds the image without asking any registry: one static binary on nothing (the stage `prebuilt` of the
# Dockerfile), as an OCI layout in a tar that docker, podman, containerd and skopeo load.
#
#   tests/k8s/image.sh [dist/hybridge.tar]
#   docker load -i dist/hybridge.tar          # or: ctr -n k8s.io images import dist/hybridge.tar
#
# PROFILE=release is what is shipped; PROFILE=dev builds faster and serves tests.
set -euo pipefail
cd "$(dirname "$0")/../.."

out="${1:-dist/hybridge.tar}"
profile="${PROFILE:-dev}"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
target="$(rustc -vV | sed -n 's/^host: //p')"

# --target keeps the flag away from build scripts and macros, which cannot be static.
RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile "$profile" --bin hybridge --target "$target"
folder="$profile"
[ "$profile" = dev ] && folder=debug
mkdir -p dist
install -m 0755 "target/$target/$folder/hybridge" dist/hybridge
if command -v strip >/dev/null; then strip dist/hybridge; fi
if readelf -lW dist/hybridge | grep -q INTERP || readelf -dW dist/hybridge | grep -q NEEDED; then
  echo "FAIL image: dist/hybridge asks for a dynamic loader or library, which the image does not have"
  exit 1
fi
echo "PASS image: dist/hybridge is static: no loader and no library asked for"

python3 - "$out" "$version" <<'PY'
"""Writes the OCI image: one layer with /hybridge, the configuration of the Dockerfile's stage."""
import gzip, hashlib, io, json, platform, sys, tarfile

out, version = sys.argv[1:]
binary = open("dist/hybridge", "rb").read()


def tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data, mode in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
layer = tar([("hybridge", binary, 0o755)])
packed = gzip.compress(layer, mtime=0)
config = json.dumps({
    "architecture": machine,
    "os": "linux",
    "config": {
        "User": "65532:65532",
        "Entrypoint": ["/hybridge"],
        "Cmd": ["run"],
        "Labels": {
            "org.opencontainers.image.title": "hybridge",
            "org.opencontainers.image.description": "Post-quantum TLS sidecar for AI inference",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0 OR MIT",
        },
    },
    "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
}).encode()
manifest = json.dumps({
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(packed), "size": len(packed)}],
}).encode()
name = f"hybridge:{version}"
index = json.dumps({
    "schemaVersion": 2,
    "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest),
        "size": len(manifest),
        "annotations": {"io.containerd.image.name": f"docker.io/library/{name}", "org.opencontainers.image.ref.name": version},
    }],
}).encode()
blob = lambda data: f"blobs/sha256/{digest(data)[7:]}"
# docker before 25 reads manifest.json; everybody else reads index.json.
legacy = json.dumps([{"Config": blob(config), "RepoTags": [name], "Layers": [blob(packed)]}]).encode()
files = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), ("manifest.json", legacy)]
files += [(blob(data), data) for data in (config, manifest, packed)]
open(out, "wb").write(tar([(n, d, 0o644) for n, d in files]))
print(f"PASS image: {out}: {name}, {machine}, binary {len(binary)} bytes, layer {len(packed)} bytes")
PY
