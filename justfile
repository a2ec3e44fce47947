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

# Every test in the workspace
test *arguments:
    cargo test --workspace {{ arguments }}

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, banned crates and sources of what ships, and the source of everything else
deny:
    cargo deny --log-level error check bans licenses sources
    ! grep '^source = ' Cargo.lock fuzz/Cargo.lock | grep -vF '"{{ registry }}"'

# Known vulnerabilities (asks RustSec's database on github.com)
advisories:
    cargo deny --log-level error check advisories

# Against other people's clients, servers and browsers
e2e *cases:
    tests/e2e/run {{ cases }}

# Injection, manifests, a pod in a network namespace, the webhook under load: without a cluster
k8s *arguments:
    tests/k8s/run {{ arguments }}

# The injector, its policies, the Helm chart and injected pods on a real Kubernetes (root; builds it, once)
cluster *arguments:
    tests/cluster/run {{ arguments }}

# k8s/injector from the Helm chart
manifests *arguments:
    k8s/chart/render {{ arguments }}

# Each fuzz target for some seconds (needs cargo-fuzz)
fuzz seconds="15":
    fuzz/run {{ seconds }}

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
