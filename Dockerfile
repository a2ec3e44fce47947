# The image is one static binary on nothing: no shell, no libc, no package to patch.
#
#   from source    docker build --build-arg BUILDER=rust:1.95.0-slim-bookworm@sha256:<digest> -t localhost/hybridge:0.1.0 .
#   from a binary  cargo build and `docker build --target prebuilt` as in scripts/image: no registry is asked
#
# BUILDER has no default, so that no build uses a base that is not pinned by digest; look it up with
# `docker buildx imagetools inspect rust:1.95.0-slim-bookworm`.
#
# SBOM: `docker buildx build --sbom=true --provenance=mode=max ...` attaches one to the image; for the
# crates only: `cargo cyclonedx --format json` reads Cargo.lock.

# Both are asked for by stages below, RUNTIME only by `--target pkcs11`.
ARG BUILDER
ARG RUNTIME=scratch

# --- The same image around a static binary that is already there, in target/image/hybridge.
FROM scratch AS prebuilt
LABEL org.opencontainers.image.title="hybridge" \
      org.opencontainers.image.description="Post-quantum TLS sidecar for AI inference" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY target/image/hybridge /hybridge
USER 65532:65532
ENTRYPOINT ["/hybridge"]
CMD ["run"]

# --- Build: glibc linked statically; the C compiler is for AWS-LC.
FROM ${BUILDER} AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV RUSTFLAGS="-C target-feature=+crt-static"
# --target keeps the flag away from build scripts and macros, which cannot be static.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --locked --release --bin hybridge --target "$target" \
 && install -D "target/$target/release/hybridge" /out/hybridge

# --- With keys in PKCS#11 tokens: dynamic, because a static program can load no module. RUNTIME is a small
# image with the glibc of BUILDER or a newer one, pinned by digest: gcr.io/distroless/cc-debian12.
#   docker build --target pkcs11 --build-arg BUILDER=... --build-arg RUNTIME=gcr.io/distroless/cc-debian12@sha256:<digest> -t localhost/hybridge-pkcs11:0.1.0 .
FROM ${BUILDER} AS build-pkcs11
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin hybridge --features pkcs11 && install -D target/release/hybridge /out/hybridge

FROM ${RUNTIME} AS pkcs11
LABEL org.opencontainers.image.title="hybridge-pkcs11" \
      org.opencontainers.image.description="Post-quantum TLS sidecar for AI inference, with keys in PKCS#11 tokens" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build-pkcs11 /out/hybridge /hybridge
USER 65532:65532
ENTRYPOINT ["/hybridge"]
CMD ["run"]

# --- Final stage, as above.
FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hybridge" \
      org.opencontainers.image.description="Post-quantum TLS sidecar for AI inference" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build /out/hybridge /hybridge
USER 65532:65532
ENTRYPOINT ["/hybridge"]
CMD ["run"]
