#!/usr/bin/env python3
"""Runs an injected pod on this machine without a cluster, in a network namespace of its own.

The pod is injected by `hybridge inject`; its sidecar is started with exactly the variables and arguments
of the result, as uid 65532 without capabilities or new privileges, and its probes and hooks are called as
the kubelet would. Without an image only the directory of the certificate differs. With one (scripts/image
makes it) the sidecar sees nothing but the image's files and its mounted Secret. Needs root and iproute2
(else it says so and ends).

    tests/k8s/pod.py [target/debug/hybridge [target/image/hybridge.tar]]
"""

import argparse
import ctypes
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PARSER = argparse.ArgumentParser()
PARSER.add_argument("binary", nargs="?", default="target/debug/hybridge")
PARSER.add_argument("image", nargs="?")
OPTIONS = PARSER.parse_args()
HYBRIDGE = OPTIONS.binary
CASE = "pod from the image" if OPTIONS.image else "pod"
NAMESPACE = f"hybridge-pod-{os.getpid()}"
ADDRESSES = ["10.42.0.7", "fd42::7"]
DEADLINE = 20
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "stub", "annotations": {"hybridge.dev/ports": "8000", "hybridge.dev/tls-secret": "stub-tls"}},
    "spec": {
        "containers": [{
            "name": "app",
            "image": "stub:1",
            "args": ["--host", "0.0.0.0", "--port", "8000"],
            "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 2},
            "livenessProbe": {"tcpSocket": {"port": 8000}},
        }],
    },
}
results = []


def skip(why):
    print(f"SKIP {CASE}: in a network namespace: {why}")
    sys.exit(0)


def check(name, holds, detail=""):
    results.append(bool(holds))
    print(f"{'PASS' if holds else 'FAIL'} {CASE}: {name}{'' if holds else f' ({detail})'}", flush=True)


def eventually(holds):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def inside(*command, **options):
    return ["ip", "netns", "exec", NAMESPACE, *command], options


def run(*command, timeout=DEADLINE):
    return subprocess.run(inside(*command)[0], capture_output=True, text=True, timeout=timeout, check=False)


def start(*command):
    return subprocess.Popen(inside(*command)[0], stdout=subprocess.DEVNULL, stderr=open(WORK / "log", "a"))


def http(url, *options):
    """Status and body, status 0 when there was no answer."""
    done = run("curl", "-s", "-m", "15", "-w", "\n%{http_code}", *options, url, timeout=30)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def tls(path="/health", address=ADDRESSES[0], *options):
    host = f"[{address}]" if ":" in address else address
    return http(f"https://{host}:8000{path}", "-k", *options)


def admin(path, *options, address=ADDRESSES[0]):
    """As the kubelet: on the pod's address."""
    host = f"[{address}]" if ":" in address else address
    return http(f"http://{host}:15400{path}", *options)


def certificate():
    """Common name and end of the certificate that is served."""
    done = subprocess.run(inside("openssl", "s_client", "-connect", f"{ADDRESSES[0]}:8000")[0], input="", capture_output=True, text=True, timeout=DEADLINE, check=False)
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=done.stdout, capture_output=True, text=True, check=False).stdout


def write_secret(generation):
    """A generation of a mounted Secret: files in a dated directory, reached through ..data."""
    folder = SECRET / f"..{generation}"
    folder.mkdir(parents=True)
    subprocess.run([HYBRIDGE, "certs", "--dir", WORK / f"certs{generation}"], check=True, capture_output=True)
    for name in ("tls.crt", "tls.key"):
        shutil.copy(WORK / f"certs{generation}" / name, folder / name)
        (folder / name).chmod(0o444)
        if not (SECRET / name).is_symlink():
            (SECRET / name).symlink_to(f"..data/{name}")
    (SECRET / "..next").symlink_to(folder.name)
    (SECRET / "..next").rename(SECRET / "..data")
    for old in SECRET.glob("..[0-9]*"):
        if old.name != folder.name:
            shutil.rmtree(old)


def unpack(image, root):
    """The layers of an OCI layout in a tar, as a container engine would lay them on each other."""
    with tarfile.open(image) as layout:
        def blob(digest):
            return layout.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}").read()

        index = json.load(layout.extractfile("index.json"))
        manifest = json.loads(blob(index["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layer["digest"])))) as files:
                files.extractall(root, filter="fully_trusted")
        return json.loads(blob(manifest["config"]["digest"]))["config"]


class Container:
    """The sidecar's container: its variables, its user, and with an image its root."""

    def __init__(self, spec):
        known = {"status.podIPs": ",".join(ADDRESSES), "metadata.name": "stub", "metadata.namespace": "ai"}
        self.env = {}
        for entry in spec["env"]:
            value = entry.get("value") or known[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            self.env[entry["name"]] = value if ROOT else value.replace("/etc/hybridge/tls", str(SECRET))
        self.user, self.args = spec["securityContext"]["runAsUser"], spec["args"]
        self.entrypoint = "/hybridge" if ROOT else str(WORK / "hybridge")

    def enter(self):
        """In the new process: namespace, root, no capability to come, user."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{NAMESPACE}") as namespace:
            if libc.setns(namespace.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
        if ROOT:
            os.chroot(ROOT)
            os.chdir("/")
        for capability in range(64):
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
        os.setgroups([])
        os.setgid(self.user)
        os.setuid(self.user)
        if libc.prctl(38, 1, 0, 0, 0):  # PR_SET_NO_NEW_PRIVS
            raise OSError(ctypes.get_errno(), "no new privileges")

    def start(self):
        return subprocess.Popen([self.entrypoint, *self.args], env=self.env, preexec_fn=self.enter, stdout=subprocess.DEVNULL, stderr=open(WORK / "log", "a"))

    def exec(self, *args):
        """As `kubectl exec`, or a hook."""
        return subprocess.run([self.entrypoint, *args], env=self.env, preexec_fn=self.enter, capture_output=True, text=True, timeout=DEADLINE, check=False)


def check_monitoring():
    """Every name that alerts and dashboard ask for is on the page of a sidecar that has served."""
    monitoring = HERE.parents[1] / "k8s/monitoring"
    queries = "".join((monitoring / name).read_text() for name in ("rules.yaml", "dashboard.json"))
    asked = set(re.findall(r"(?<![:\w])hybridge_[a-z_]+", queries))
    # The injector's own, and those of what this pod does not use (client certificates and their revocation, signatures, traces):
    # tests/process/monitoring.rs checks their names.
    asked -= {
        "hybridge_injections_total",
        "hybridge_client_certificate_algorithm_total",
        "hybridge_crl_next_update_timestamp_seconds",
        "hybridge_signature_verifications_total",
        "hybridge_spans_dropped_total",
    }
    page = admin("/metrics")[1]
    missing = [name for name in sorted(asked) if f"\n{name}{{" not in page and f"\n{name} " not in page]
    check(f"the {len(asked)} metrics that alerts and dashboard ask for are on its page", len(asked) > 10 and not missing, missing)


def open_stream(lines):
    """A client in the middle of a stream."""
    stream = subprocess.Popen(inside("curl", "-skN", f"https://{ADDRESSES[0]}:8000/stream={lines}")[0], stdout=subprocess.PIPE, text=True)
    under_way = lambda: sum(map(int, re.findall(r"\nhybridge_requests_open{.*} (\d+)", admin("/metrics")[1])))
    check("a stream is under way", eventually(lambda: under_way() == 1))
    return stream


def received(stream):
    return stream.communicate(timeout=DEADLINE)[0].count("data:")


def main():
    if ROOT:
        config = unpack(OPTIONS.image, ROOT)
        check("the image runs hybridge as the user of the pod", config["Entrypoint"] == ["/hybridge"] and config["User"] == "65532:65532", config)
    else:
        shutil.copy(HYBRIDGE, WORK / "hybridge")
    done = subprocess.run([HYBRIDGE, "inject", "-f", "-"], input=json.dumps(POD), capture_output=True, text=True, check=False)
    check("the pod is injected", done.returncode == 0, done.stderr)
    spec = json.loads(done.stdout)["spec"]
    sidecar = next(c for c in spec["initContainers"] if c["name"] == "hybridge")
    app = spec["containers"][0]
    write_secret(1)
    container = Container(sidecar)

    process = container.start()
    check("the sidecar starts before the app and needs nothing of it", eventually(lambda: admin(sidecar["startupProbe"]["httpGet"]["path"])[0] == 200), (WORK / "log").read_text())
    wild = subprocess.run(inside(sys.executable, HERE / "stub_server.py", "--host", "0.0.0.0")[0], capture_output=True, text=True, timeout=DEADLINE, check=False)
    check("an app on 0.0.0.0 fails closed, SO_REUSEPORT or not", wild.returncode != 0 and "Address already in use" in wild.stderr, wild.stderr)
    server = start(sys.executable, HERE / "stub_server.py", *app["args"])
    readiness, liveness = (app[kind]["httpGet"]["path"] for kind in ("readinessProbe", "livenessProbe"))
    check("the app's readiness probe passes through the sidecar", eventually(lambda: admin(readiness)[0] == 200), admin(readiness))
    check("the app's liveness probe passes through the sidecar", admin(liveness)[0] == 200, admin(liveness))
    check("the sidecar is ready", eventually(lambda: admin(sidecar["readinessProbe"]["httpGet"]["path"])[0] == 200), admin("/readyz"))
    for address in ADDRESSES:
        check(f"TLS on the app's own port at {address}", tls(address=address) == (200, "healthy\n"), tls(address=address))
        check(f"the admin port at {address}", admin("/livez", address=address)[0] == 200)
    plain = http(f"http://{ADDRESSES[0]}:8000/health")
    check("no plaintext on that port", plain[0] != 200, plain)
    check("paths that are not in the table are not there", admin("/probe/app/other")[0] == 404, admin("/probe/app/other"))
    neighbour = [admin(path, "-X", "POST", address=address)[0] for path in ("/drain", "/quit") for address in ADDRESSES]
    check("a neighbour cannot drain or end the sidecar", neighbour == [403] * 4, neighbour)
    asked = container.exec("ctl", "ready")
    check("ctl ready in the container finds the sidecar", asked.returncode == 0, asked.stderr)
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    facts = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
    check("the sidecar has its user, no capability and no way to get one",
          set(facts["Uid"]) == {"65532"} and facts["NoNewPrivs"] == ["1"] and all(int(facts[kind][0], 16) == 0 for kind in ("CapPrm", "CapEff", "CapBnd")), facts)

    before = certificate()
    write_secret(2)
    check("a renewed Secret is served without a restart", before and eventually(lambda: certificate() not in ("", before)), before)

    process.send_signal(signal.SIGKILL)
    process.wait()
    process = container.start()
    check("a killed sidecar comes back, the app goes on", eventually(lambda: tls() == (200, "healthy\n")) and server.poll() is None)

    server.terminate()
    server.wait()
    check("the readiness probe fails without the app", eventually(lambda: admin(readiness)[0] not in (0, 200, 404)), admin(readiness))
    check("the sidecar's own liveness does not depend on the app", admin("/livez")[0] == 200)
    server = start(sys.executable, HERE / "stub_server.py", *app["args"])
    eventually(lambda: tls()[0] == 200)

    # Deletion: both preStop hooks at once, then SIGTERM to the app, then to the sidecar.
    check_monitoring()
    stream = open_stream(16)
    began = time.monotonic()
    hook = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    check("the sidecar's preStop is ctl drain", hook == ["/hybridge", "ctl", "drain"], hook)
    drained = container.exec(*hook[1:])
    check("and starts the drain", drained.returncode == 0, drained.stderr)
    gate = admin(app["lifecycle"]["preStop"]["httpGet"]["path"])
    waited = time.monotonic() - began
    server.terminate()
    lines = received(stream)
    check("the gate holds the app until the stream has ended", gate[0] == 200 and waited > 2, f"{gate} after {waited:.1f} s")
    check("no line of the stream is lost", lines == 16, f"{lines} of 16")
    asked = container.exec("ctl", "ready")
    check("a draining sidecar is not ready", admin("/readyz")[0] == 503 and asked.returncode == 1 and "drain" in asked.stderr, (admin("/readyz"), asked.stderr))
    process.send_signal(signal.SIGTERM)
    check("the sidecar ends with 0", process.wait(timeout=DEADLINE) == 0, process.returncode)

    process = container.start()
    server = start(sys.executable, HERE / "stub_server.py", *app["args"])
    eventually(lambda: tls()[0] == 200)
    stream = open_stream(16)
    server.terminate()
    lines = received(stream)
    check("without the gate the same stream is cut, so the gate's check means something", lines < 16, f"{lines} of 16")
    asked = container.exec("ctl", "quit")
    check("ctl quit is accepted", asked.returncode == 0, asked.stderr)
    ended = eventually(lambda: process.poll() is not None)
    check("ctl quit ends the sidecar, so a Job can complete", ended and process.returncode == 0, process.poll())
    if not ended:
        process.kill()


if os.geteuid() != 0:
    skip("not root")
for tool in ("ip", "curl", "openssl"):
    if not shutil.which(tool):
        skip(f"{tool} is not installed")
if subprocess.run([HYBRIDGE, "inject", "--help"], capture_output=True, check=False).returncode != 0:
    skip(f"{HYBRIDGE} has no command inject")
if subprocess.run(["ip", "netns", "add", NAMESPACE], capture_output=True, check=False).returncode != 0:
    skip("no network namespace can be made")
WORK = pathlib.Path(tempfile.mkdtemp())
WORK.chmod(0o755)
ROOT = WORK / "root" if OPTIONS.image else None
SECRET = ROOT / "etc/hybridge/tls" if ROOT else WORK / "tls"
try:
    # The pod's addresses are on lo, for want of another device everywhere; they are no loopback addresses.
    for setup in (["link", "set", "lo", "up"], ["addr", "add", f"{ADDRESSES[0]}/32", "dev", "lo"],
                  ["-6", "addr", "add", f"{ADDRESSES[1]}/128", "dev", "lo", "nodad"]):
        subprocess.run(["ip", "-n", NAMESPACE, *setup], check=True)
    main()
finally:
    pids = subprocess.run(["ip", "netns", "pids", NAMESPACE], capture_output=True, text=True, check=False).stdout.split()
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", NAMESPACE], check=False)
    shutil.rmtree(WORK)
sys.exit(0 if all(results) else 1)
