#!/usr/bin/env bash
# Checks everything under k8s/ and the pods that the injector makes: every kustomization builds, strict
# schemas of several Kubernetes versions, the rules of the house, CEL, Prometheus rules, the dashboard.
#
#   tests/k8s/validate.sh                 uses target/debug/hybridge
#   HYBRIDGE=path tests/k8s/validate.sh   uses that binary
#
# Installs what it needs into a directory of its own (HYBRIDGE_K8S_TOOLS). What cannot be run is named
# at the end, and is a failure with HYBRIDGE_K8S_STRICT=1.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools="${HYBRIDGE_K8S_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/hybridge-k8s}"
hybridge="${HYBRIDGE:-target/debug/hybridge}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$tools"
skipped=()

skip() {
  skipped+=("$1")
  echo "SKIPPED: $1"
}

if [ ! -x "$tools/venv/bin/python" ]; then
  python3 -m venv "$tools/venv"
fi
if ! "$tools/venv/bin/python" -c 'import kubernetes_validate, celpy, yaml' 2>/dev/null; then
  "$tools/venv/bin/pip" install --quiet 'kubernetes-validate==1.37.0' 'cel-python==0.5.0' 'pyyaml==6.0.3' ||
    skip "schemas and CEL: kubernetes-validate, cel-python or pyyaml cannot be installed"
fi

promtool="$(command -v promtool || true)"
if [ -z "$promtool" ]; then
  promtool="$tools/prometheus/usr/bin/promtool"
  if [ ! -x "$promtool" ]; then
    (cd "$tools" && apt-get download prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb prometheus) ||
      skip "promtool: Debian's package prometheus cannot be fetched"
  fi
fi

if command -v kubectl >/dev/null; then
  build() { kubectl kustomize "$1"; }
elif command -v kustomize >/dev/null; then
  build() { kustomize build "$1"; }
else
  echo "FAILED: neither kubectl nor kustomize is installed"
  exit 1
fi

# Certificates for the offline overlay are made in a copy, so that no key lands in the tree.
cp -r k8s "$work/k8s"
if "$hybridge" inject --help >/dev/null 2>&1; then
  "$hybridge" inject certs --dir "$work/k8s/overlays/offline-certs"
else
  skip "overlays/offline-certs and injected pods: $hybridge has no command inject (cargo build first)"
fi

mkdir -p "$work/built" "$work/injected"
count=0
while IFS= read -r file; do
  folder="$(dirname "$file")"
  name="${folder#"$work"/k8s/}"
  if [ "$name" = overlays/offline-certs ] && [ ! -f "$folder/secret.yaml" ]; then
    continue
  fi
  build "$folder" >"$work/built/${name//\//_}.yaml"
  count=$((count + 1))
done < <(find "$work/k8s" -name kustomization.yaml | sort)
echo "ok: $count kustomizations build"
[ "$count" -ge 8 ] || { echo "FAILED: only $count kustomizations found"; exit 1; }

if "$hybridge" inject --help >/dev/null 2>&1; then
  for file in k8s/examples/{vllm,triton,job}.yaml tests/inject/pods/*.yaml; do
    "$hybridge" inject -f "$file" >"$work/injected/$(basename "$file")" 2>/dev/null || rm "$work/injected/$(basename "$file")"
  done
  echo "ok: $(find "$work/injected" -type f | wc -l) manifests injected"
fi

if "$tools/venv/bin/python" -c 'import kubernetes_validate, celpy, yaml' 2>/dev/null; then
  "$tools/venv/bin/python" tests/k8s/validate.py "$work"
fi

if [ -x "$promtool" ] && [ -f "$work/rules.yaml" ]; then
  "$promtool" check rules "$work/rules.yaml"
fi

if [ "${#skipped[@]}" -gt 0 ]; then
  printf 'NOT RUN: %s\n' "${skipped[@]}"
  [ "${HYBRIDGE_K8S_STRICT:-0}" = 0 ]
fi
