# What is checked before a change goes in; .ci/run calls these recipes.

set shell := ["bash", "-euo", "pipefail", "-c"]

registry := "registry+https://github.com/rust-lang/crates.io-index"

[private]
default:
    @just --list --unsorted

# Everything that needs nothing but this repository and the crates
check: fmt words clippy test doc deny

fmt:
    cargo fmt --all --check

# No word that the glossary replaced
words:
    .ci/words

# Spelling (needs typos-cli)
typos:
    typos --format brief

clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation as a site, in target/book, its links checked (needs mdbook); or `--links`
book *arguments:
    scripts/book {{ arguments }}

# Every test in the workspace
test *arguments:
    cargo test --workspace {{ arguments }}

# Every test in its own process, then the examples of the documentation (needs cargo-nextest)
nextest *arguments:
    command -v cargo-nextest >/dev/null || { echo 'cargo-nextest is not installed: cargo install --locked cargo-nextest, or use: just test' >&2; exit 1; }
    cargo nextest run --workspace {{ arguments }}
    cargo test --workspace --doc

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, banned crates and sources of what ships, and the source of everything else
deny:
    cargo deny --log-level error check bans licenses sources
    ! grep '^source = ' Cargo.lock fuzz/Cargo.lock | grep -vF '"{{ registry }}"'

# Known vulnerabilities, by RustSec's database on github.com or a clone of it (ADVISORY_DB=DIR)
advisories:
    scripts/advisories

# Whether `rust-version` in Cargo.toml is true
oldest-rust:
    scripts/oldest-rust

# Against other people's clients, servers and browsers
e2e *cases:
    tests/e2e/run {{ cases }}

# The commands of README.md and of docs as they are written (root: in namespaces of their own)
pages *arguments:
    tests/docs/run {{ arguments }}

# CPU and memory of `hybridge open` beside Go's age and KServe's JWE in one run (needs Go and 4 GB of disk)
seal-figures:
    cargo build --profile quick --workspace --bin hybridge
    ARTEFACTS="$(mktemp -d)" && export ARTEFACTS && SEAL_FIGURES=1 HYBRIDGE_BIN="${CARGO_TARGET_DIR:-target}/quick/hybridge" \
      tests/e2e/run seal_figures; code=$?; cat "$ARTEFACTS/seal_figures.out"; exit $code

# Time to the first token, and CPU, with signing of responses off and on in one run
signing-figures:
    cargo build --profile quick --workspace --bin hybridge
    ARTEFACTS="$(mktemp -d)" && export ARTEFACTS && SIGNING_FIGURES=1 HYBRIDGE_BIN="${CARGO_TARGET_DIR:-target}/quick/hybridge" \
      tests/e2e/run signing_figures; code=$?; cat "$ARTEFACTS/signing_figures.out"; exit $code

# What TLS adds to gradients of PyTorch in bytes and time, plain, classical and hybrid in one run (root; unpacks PyTorch)
training-figures:
    cargo build --profile quick --workspace --bin hybridge
    ARTEFACTS="$(mktemp -d)" && export ARTEFACTS && E2E_TORCH=1 TRAINING_FIGURES=1 HYBRIDGE_BIN="${CARGO_TARGET_DIR:-target}/quick/hybridge" \
      tests/e2e/run training_figures; code=$?; cat "$ARTEFACTS/training_figures.out"; exit $code

# Injection, manifests, a pod in a network namespace, the webhook under load: without a cluster
k8s *arguments:
    tests/k8s/run {{ arguments }}

# The injector, its policies, the Helm chart and injected pods on a real Kubernetes (root; builds it, once)
cluster *arguments:
    tests/cluster/run {{ arguments }}

# Static binary, image, Debian package, man pages, bill of materials and checksums, in target/release-files
release:
    scripts/release

# The image with keys in PKCS#11 tokens, and a start of it (Debian; root to start it)
image-pkcs11:
    scripts/image-pkcs11

# Signs the files of a release with the keys in a folder of `hybridge keys sign`
sign-release keys:
    scripts/sign-release {{ keys }}

# A release of this commit built twice, from two directories: every file the same (PROFILE, TARGETS as for release)
reproducible:
    scripts/reproducible

# The static arm64 binary, cross compiled, and a hybrid handshake with it under qemu
arm64:
    tests/release/arm64

# The package of a release, installed on a clean Debian that systemd runs (root)
release-test *arguments:
    tests/release/run {{ arguments }}

# k8s/injector from the Helm chart
manifests *arguments:
    k8s/chart/render {{ arguments }}

# Each fuzz target for some seconds (needs cargo-fuzz)
fuzz seconds="15":
    fuzz/run {{ seconds }}

# The build script for OSS-Fuzz, and what it makes, for some seconds each (needs cargo-fuzz)
oss-fuzz *targets:
    fuzz/oss-fuzz/try {{ targets }}

bench *arguments:
    cargo bench -p hybridge {{ arguments }}

# Every benchmark once, unmeasured: that they run
bench-smoke:
    cargo bench -p hybridge --profile dev -- --test

# The feature: rustix would look for the vDSO where the kernel put it, and valgrind took it away.
# Instructions of the proxy for each operation beside the recorded ones (needs valgrind); or `record`
instructions *arguments="compare":
    cargo build --profile quick -p hybridge --features rustix/use-libc-auxv
    cargo bench -p hybridge --profile dev --bench instructions -- {{ arguments }}

# Line coverage of the tests (needs cargo-llvm-cov); reported, not gated
coverage:
    cargo llvm-cov --workspace --html
