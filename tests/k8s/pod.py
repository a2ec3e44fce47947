#!/usr/bin/env python3
"""Runs an injected pod on this machine without a cluster, in a network namespace of its own.

The pod is injected by `hybridge inject`; its sidecar is started with exactly the variables and arguments
of the result, as uid 65532 without capabilities, and its probes and hooks are called as the kubelet
would. Only the directory of the certificate differs. Needs root and iproute2 (else it says so and ends).

    tests/k8s/pod.py [target/debug/hybridge]
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
HYBRIDGE = sys.argv[1] if len(sys.argv) > 1 else "target/debug/hybridge"
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
    print(f"SKIPPED: pod in a network namespace: {why}")
    sys.exit(0)


def check(name, holds, detail=""):
    results.append(bool(holds))
    print(f"{'ok' if holds else 'FAILED'}: {name}{'' if holds else f' ({detail})'}")


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


def start(*command, env=None):
    return subprocess.Popen(inside(*command)[0], env=env, stdout=subprocess.DEVNULL, stderr=open(WORK / "log", "a"))


def http(url, *options):
    """Status and body, status 0 when there was no answer."""
    done = run("curl", "-s", "-m", "15", "-w", "\n%{http_code}", *options, url, timeout=30)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def tls(path="/health", address=ADDRESSES[0], *options):
    host = f"[{address}]" if ":" in address else address
    return http(f"https://{host}:8000{path}", "-k", *options)


def admin(path, *options):
    """As the kubelet: on the pod's address."""
    return http(f"http://{ADDRESSES[0]}:15400{path}", *options)


def certificate():
    """Common name and end of the certificate that is served."""
    done = subprocess.run(inside("openssl", "s_client", "-connect", f"{ADDRESSES[0]}:8000")[0], input="", capture_output=True, text=True, timeout=DEADLINE, check=False)
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=done.stdout, capture_output=True, text=True, check=False).stdout


def write_secret(generation):
    """A generation of a mounted Secret: files in a dated directory, reached through ..data."""
    folder = WORK / "tls" / f"..{generation}"
    folder.mkdir(parents=True)
    subprocess.run([HYBRIDGE, "certs", "--dir", WORK / f"certs{generation}"], check=True, capture_output=True)
    for name in ("tls.crt", "tls.key"):
        shutil.copy(WORK / f"certs{generation}" / name, folder / name)
        (folder / name).chmod(0o444)
        if not (WORK / "tls" / name).is_symlink():
            (WORK / "tls" / name).symlink_to(f"..data/{name}")
    (WORK / "tls/..next").symlink_to(folder.name)
    (WORK / "tls/..next").rename(WORK / "tls/..data")
    for old in (WORK / "tls").glob("..[0-9]*"):
        if old.name != folder.name:
            shutil.rmtree(old)


def sidecar_command(container):
    known = {"status.podIPs": ",".join(ADDRESSES), "metadata.name": "stub", "metadata.namespace": "ai"}
    env = {}
    for entry in container["env"]:
        value = entry.get("value") or known[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        env[entry["name"]] = value.replace("/etc/hybridge/tls", str(WORK / "tls"))
    user = str(container["securityContext"]["runAsUser"])
    restricted = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    return [*restricted, str(WORK / "hybridge"), *container["args"]], {"PATH": os.environ["PATH"], **env}


def main():
    shutil.copy(HYBRIDGE, WORK / "hybridge")
    done = subprocess.run([HYBRIDGE, "inject", "-f", "-"], input=json.dumps(POD), capture_output=True, text=True, check=False)
    check("the pod is injected", done.returncode == 0, done.stderr)
    spec = json.loads(done.stdout)["spec"]
    sidecar = next(c for c in spec["initContainers"] if c["name"] == "hybridge")
    app = spec["containers"][0]
    write_secret(1)
    command, env = sidecar_command(sidecar)

    process = start(*command, env=env)
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
    plain = http(f"http://{ADDRESSES[0]}:8000/health")
    check("no plaintext on that port", plain[0] != 200, plain)
    check("paths that are not in the table are not there", admin("/probe/app/other")[0] == 404, admin("/probe/app/other"))
    neighbour = [admin(path, "-X", "POST")[0] for path in ("/drain", "/quit")]
    check("a neighbour cannot drain or end the sidecar", all(status in (403, 404, 405) for status in neighbour), neighbour)

    before = certificate()
    write_secret(2)
    check("a renewed Secret is served without a restart", before and eventually(lambda: certificate() not in ("", before)), before)

    process.send_signal(signal.SIGKILL)
    process.wait()
    process = start(*command, env=env)
    check("a killed sidecar comes back, the app goes on", eventually(lambda: tls() == (200, "healthy\n")) and server.poll() is None)

    server.terminate()
    server.wait()
    check("the readiness probe fails without the app", eventually(lambda: admin(readiness)[0] not in (0, 200, 404)), admin(readiness))
    check("the sidecar's own liveness does not depend on the app", admin("/livez")[0] == 200)
    server = start(sys.executable, HERE / "stub_server.py", *app["args"])
    eventually(lambda: tls()[0] == 200)

    # Deletion: both preStop hooks at once, then SIGTERM to the app, then to the sidecar.
    stream = subprocess.Popen(inside("curl", "-skN", f"https://{ADDRESSES[0]}:8000/stream=16")[0], stdout=subprocess.PIPE, text=True)
    time.sleep(0.6)
    began = time.monotonic()
    hook = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    drained = subprocess.run(inside(str(WORK / "hybridge"), *hook[1:])[0], env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)
    check("the sidecar's preStop starts the drain", drained.returncode == 0, drained.stderr)
    gate = admin(app["lifecycle"]["preStop"]["httpGet"]["path"])
    waited = time.monotonic() - began
    server.terminate()
    lines = stream.communicate(timeout=DEADLINE)[0].count("data:")
    check("the gate holds the app until the stream has ended", gate[0] == 200 and waited > 2, f"{gate} after {waited:.1f} s")
    check("no line of the stream is lost", lines == 16, f"{lines} of 16")
    check("a draining sidecar is not ready", admin("/readyz")[0] == 503, admin("/readyz"))
    process.send_signal(signal.SIGTERM)
    check("the sidecar ends with 0", process.wait(timeout=DEADLINE) == 0, process.returncode)

    process = start(*command, env=env)
    eventually(lambda: admin("/livez")[0] == 200)
    subprocess.run(inside(str(WORK / "hybridge"), "ctl", "quit")[0], env=env, capture_output=True, timeout=DEADLINE, check=False)
    ended = eventually(lambda: process.poll() is not None)
    check("ctl quit ends the sidecar, so a Job can complete", ended and process.returncode == 0, process.poll())
    if not ended:
        process.kill()


if os.geteuid() != 0:
    skip("not root")
for tool in ("ip", "setpriv", "curl", "openssl"):
    if not shutil.which(tool):
        skip(f"{tool} is not installed")
if subprocess.run([HYBRIDGE, "inject", "--help"], capture_output=True, check=False).returncode != 0:
    skip(f"{HYBRIDGE} has no command inject")
if subprocess.run(["ip", "netns", "add", NAMESPACE], capture_output=True, check=False).returncode != 0:
    skip("no network namespace can be made")
WORK = pathlib.Path(tempfile.mkdtemp())
WORK.chmod(0o755)
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
