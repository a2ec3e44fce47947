#!/usr/bin/env bash
# The image in a container as a restricted pod has it: default seccomp profile, no capability, no new
# privileges, read-only root, its user, its memory limit; then `ctl` as hooks call it.
#
#   tests/k8s/container.sh target/image/hybridge.tar
#
# Uses the docker that runs here; else, as root, Debian's in a folder of its own for as long as this takes.
set -uo pipefail
cd "$(dirname "$0")/../.."
image=$(realpath "${1:-target/image/hybridge.tar}")
work=$(mktemp -d)
name=hybridge-container-$$
engine=
failed=0

pass() { echo "PASS container: $1"; }
fail() {
  echo "FAIL container: $1"
  failed=1
}
finish() {
  docker rm -f "$name" >/dev/null 2>&1
  if [ -n "$engine" ]; then
    kill "$engine"
    wait "$engine" 2>/dev/null
  fi
  rm -rf "$work"
}
trap finish EXIT

own_engine() {
  [ "$(id -u)" -eq 0 ] || return 1
  mkdir "$work/deb" && cd "$work/deb" || return 1
  { apt-get download docker.io containerd runc || { apt-get update -qq && apt-get download docker.io containerd runc; }; } >"$work/apt.log" 2>&1 || return 1
  for package in ./*.deb; do dpkg -x "$package" "$work/root"; done
  cd - >/dev/null || return 1
  export PATH="$work/root/usr/sbin:$work/root/usr/bin:$PATH" DOCKER_HOST="unix://$work/socket"
  dockerd --data-root "$work/data" --exec-root "$work/exec" -H "$DOCKER_HOST" --pidfile "$work/pid" \
    --bridge=none --iptables=false --ip6tables=false --storage-driver vfs >"$work/dockerd.log" 2>&1 &
  engine=$!
  for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && return
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.2
  done
  return 1
}

if ! docker version >/dev/null 2>&1 && ! own_engine; then
  echo "SKIP container: no docker runs here and none can be started: $(tail -qn 1 "$work"/*.log 2>/dev/null | cut -c1-200)"
  exit 0
fi

if ! loaded=$(docker load -qi "$image" 2>&1); then
  fail "docker load: $loaded"
  exit 1
fi
image=${loaded##*: }
pass "docker loads $image"

mkdir "$work/tls"
restricted=(--network none --read-only --cap-drop ALL --security-opt no-new-privileges --user 65532:65532 --memory 128m)
if ! docker run --rm -v "$work/tls:/out" --user 0:0 --network none "$image" certs --dir /out/made >"$work/certs.log" 2>&1; then
  fail "the image makes certificates: $(cat "$work/certs.log")"
  exit 1
fi
install -m 0444 "$work"/tls/made/tls.{crt,key} "$work/tls/"
chmod 0755 "$work/tls"

docker run -d --name "$name" "${restricted[@]}" -v "$work/tls:/etc/hybridge/tls:ro" \
  -e POD_IPS=127.0.0.5 -e HYBRIDGE_PORTS=8000=127.0.0.1:8000 -e HYBRIDGE_CERT=/etc/hybridge/tls/tls.crt \
  -e HYBRIDGE_KEY=/etc/hybridge/tls/tls.key -e 'HYBRIDGE_ADMIN=$POD_IPS:15400,127.0.0.1:15400' \
  -e HYBRIDGE_DRAIN_DELAY=0s "$image" >/dev/null || { fail "the container starts"; exit 1; }
for _ in $(seq 100); do
  docker exec "$name" /hybridge ctl ready >/dev/null 2>&1 && break
  sleep 0.1
done
expect() { # exit-code what command...
  local wanted=$1 what=$2 said code
  shift 2
  said=$("$@" 2>&1)
  code=$?
  if [ "$code" -eq "$wanted" ]; then pass "$what"; else fail "$what: exit code $code: $said; $(docker logs "$name" 2>&1 | tail -n 3)"; fi
}
expect 0 "ready under seccomp, without capabilities, on a read-only root" docker exec "$name" /hybridge ctl ready
expect 0 "ctl drain is accepted" docker exec "$name" /hybridge ctl drain
expect 1 "and then it is not ready" docker exec "$name" /hybridge ctl ready
expect 0 "ctl quit is accepted" docker exec "$name" /hybridge ctl quit
code=$(timeout 30 docker wait "$name")
if [ "$code" = 0 ]; then pass "the container ends with 0"; else fail "the container ends with ${code:-nothing}: $(docker logs "$name" 2>&1 | tail -n 3)"; fi
exit "$failed"
