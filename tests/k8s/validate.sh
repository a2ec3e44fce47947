#!/usr/bin/env bash
# Checks everything under k8s/ and the pods that the injector makes: every kustomization builds, strict
# schemas of several Kubernetes versions, the rules of the house, CEL, Prometheus rules, the dashboard.
#
#   tests/k8s/validate.sh                 uses target/debug/hybridge
#   HYBRIDGE=path tests/k8s/validate.sh   uses that binary
#
# Installs what it needs into a directory of its own (HYBRIDGE_K8S_TOOLS). Each check prints a line that
# begins with PASS, FAIL or SKIP and a reason; only a failure makes the exit code 1.
set -uo pipefail
cd "$(dirname "$0")/../.."

tools="${HYBRIDGE_K8S_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/hybridge-k8s}"
hybridge="${HYBRIDGE:-target/debug/hybridge}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$tools" "$work/built" "$work/injected"
failed=0

pass() { echo "PASS validate: $1"; }
skip() { echo "SKIP validate: $1"; }
fail() {
  echo "FAIL validate: $1"
  failed=1
}

python="$tools/venv/bin/python"
if ! "$python" -c 'import kubernetes_validate, celpy, yaml' 2>/dev/null; then
  { python3 -m venv "$tools/venv" &&
    "$tools/venv/bin/pip" install --quiet 'kubernetes-validate==1.37.0' 'cel-python==0.5.0' 'pyyaml==6.0.3'; } >"$work/pip.log" 2>&1 ||
    python=
fi

promtool="$(command -v promtool)"
if [ -z "$promtool" ]; then
  promtool="$tools/prometheus/usr/bin/promtool"
  if [ ! -x "$promtool" ]; then
    (cd "$tools" && apt-get download prometheus && dpkg -x prometheus_*.deb prometheus) >/dev/null 2>&1 || promtool=
  fi
fi

if kubectl kustomize --help >/dev/null 2>&1; then
  build() { kubectl kustomize "$1"; }
elif command -v kustomize >/dev/null; then
  build() { kustomize build "$1"; }
else
  skip "all of k8s/: neither kubectl nor kustomize is installed"
  exit 0
fi

# Certificates for the offline overlay are made in a copy, so that no key lands in the tree.
cp -r k8s "$work/k8s"
if "$hybridge" inject certs --dir "$work/k8s/overlays/offline-certs" >"$work/certs.log" 2>&1; then
  pass "inject certs writes what overlays/offline-certs names"
else
  fail "inject certs: $(cat "$work/certs.log")"
fi

# A user's own overlay: another registry and a digest, in one place.
mkdir "$work/k8s/own-image"
cat >"$work/k8s/own-image/kustomization.yaml" <<'END'
resources: [../overlays/offline-certs]
images:
- name: localhost/hybridge
  newName: registry.example:5000/pq/hybridge
  digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
transformers: [../image]
END

count=0
while IFS= read -r file; do
  folder="$(dirname "$file")"
  name="${folder#"$work"/k8s/}"
  if build "$folder" >"$work/built/${name//\//_}.yaml" 2>"$work/build.log"; then
    count=$((count + 1))
  else
    fail "$name does not build: $(cat "$work/build.log")"
    rm "$work/built/${name//\//_}.yaml"
  fi
done < <(find "$work/k8s" -name kustomization.yaml | sort)
if [ "$count" -ge 8 ]; then pass "$count kustomizations build"; else fail "only $count kustomizations build"; fi

# A user's whole path for each: inject, nothing left to do, the second run changes no byte.
count=0
for file in k8s/examples/{stub,vllm,triton,job,client-certificates/server,training/{statefulset,indexed-job,jobset,pytorchjob}}.yaml tests/inject/pods/*.yaml; do
  name="$(basename "$file" .yaml)"
  out="$work/injected/${file//\//_}"
  if ! "$hybridge" inject -f "$file" >"$out" 2>"$work/inject.log"; then
    rm "$out"
    # The shapes that are refused on purpose have a golden file that says so.
    grep -qs '"denied"' "tests/inject/golden/$name.json" || fail "$file is refused: $(cat "$work/inject.log")"
    continue
  fi
  count=$((count + 1))
  "$hybridge" inject -f "$file" --check >/dev/null 2>&1 && fail "$file: --check finds nothing to do before the injection"
  "$hybridge" inject -f "$out" --check >/dev/null 2>&1 || fail "$file: --check finds something to do after the injection"
  "$hybridge" inject -f "$out" 2>/dev/null | cmp -s - "$out" || fail "$file: the second run changes it"
  "$hybridge" inject -f "$file" --explain 2>&1 | grep -q 'sidecar in spec.initContainers' || fail "$file: --explain does not name the sidecar"
done
if [ "$count" -ge 10 ]; then pass "$count manifests are injected, checked, explained, and injected again without a change"; else fail "only $count manifests were injected"; fi

if [ -n "$python" ]; then
  "$python" tests/k8s/validate.py "$work" || failed=1
else
  skip "schemas, rules and CEL: kubernetes-validate, cel-python or pyyaml cannot be installed: $(tail -n 1 "$work/pip.log")"
fi

if [ -z "$promtool" ]; then
  skip "Prometheus rules: Debian's package prometheus cannot be fetched"
elif [ ! -f "$work/rules.yaml" ]; then
  skip "Prometheus rules: validate.py did not extract them"
elif "$promtool" check rules "$work/rules.yaml" >"$work/promtool.log" 2>&1; then
  pass "promtool: $(grep -o '[0-9]* rules found' "$work/promtool.log")"
  cp tests/k8s/rules-test.yaml "$work"
  if "$promtool" test rules "$work/rules-test.yaml" >"$work/promtool.log" 2>&1; then
    pass "promtool: alerts fire where they should and nowhere else"
  else
    fail "promtool: $(cat "$work/promtool.log")"
  fi
else
  fail "promtool: $(cat "$work/promtool.log")"
fi
exit "$failed"
