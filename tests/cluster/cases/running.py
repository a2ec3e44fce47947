"""Injected pods on a kubelet: TLS, restarts, floods, certificates that do not fit, shutdown, Jobs."""

import re
import subprocess
import time
import urllib.error
import urllib.request

from kube import gone, ready, restarts
from report import check, skip

ADMIN = 15400
LIVENESS = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1, "failureThreshold": 3}


def run(setting):
    if not setting.node:
        return skip("pods", "no kubelet in this run")
    setting.namespace("serving", enabled=True)
    folder = setting.secret("serving")
    for each in (served, liveness, flood, bad_secret, stream, job):
        each(setting, folder)


def address(pod):
    return pod.get("status", {}).get("podIP")


def served(setting, folder):
    pod = setting.pod("serving", "served")
    seen = setting.started(pod)
    check("an injected pod gets ready", ready(seen), seen.get("status"))
    host = f"{address(seen)}:8000"
    trusted = ["--cacert", folder / "ca.crt", "--name", "llama.serving.svc"]
    code, said = setting.stub("get", *trusted, f"https://{host}/v1/models")
    check("its port speaks X25519MLKEM768", code == 0 and said.startswith("X25519MLKEM768 200"), said)
    code, said = setting.stub("get", f"http://{host}/v1/models")
    check("its port speaks no plaintext", "plaintext 200" not in said, said)
    kill(setting, seen, "hybridge")
    healed = setting.kube.until(pod, lambda now: restarts(now, "hybridge") == 1 and ready(now))
    check("a killed sidecar comes back without a restart of the app", ready(healed) and restarts(healed, "app") == 0, healed.get("status"))
    deleted(setting, pod, "an idle pod", 20)
    without = setting.pod("serving", "at-once", {"hybridge.dev/drain-delay": "0s"})
    check("an idle pod without drain delay gets ready", ready(setting.started(without)))
    deleted(setting, without, "an idle pod without drain delay", 15)
    bare = setting.pod("serving", "bare", {"hybridge.dev/tls-secret": None}, labels={"hybridge.dev/inject": "disabled"})
    check("a pod without a sidecar gets ready", ready(setting.started(bare)))
    deleted(setting, bare, "a pod without a sidecar", 15)


def deleted(setting, pod, what, within):
    """Deletes it; prints after how many seconds its containers ended and it was gone, as the API server saw it."""
    begin, seen = time.monotonic(), {}

    def look(now):
        if gone(now):
            return True
        since = time.monotonic() - begin
        states = now.get("status", {})
        for each in states.get("containerStatuses", []) + states.get("initContainerStatuses", []):
            if "terminated" in each["state"]:
                seen.setdefault(each["name"], since)
        return False

    setting.kube.delete(pod)
    check(f"{what}: it is gone after deletion", gone(setting.kube.until(pod, look, 60)))
    took = time.monotonic() - begin
    check(f"{what}: within {within} s", took < within, f"{took:.1f} s")
    ends = ", ".join(f"{name} seen to end at {at:.1f} s" for name, at in seen.items())
    print(f"cluster: {what} took {took:.1f} s to delete ({ends})", flush=True)
    return took


def liveness(setting, folder):
    """The kubelet runs preStop on every kill; nobody drains in a restart."""
    pod = setting.pod("serving", "liveness", livenessProbe=LIVENESS, spec={"terminationGracePeriodSeconds": 60})
    seen = setting.started(pod)
    begin = time.monotonic()
    setting.stub("get", f"https://{address(seen)}:8000/fail")
    seen = setting.kube.until(pod, lambda now: restarts(now, "app") >= 1, 75)
    took = time.monotonic() - begin
    check("a failed liveness probe restarts the app within 25 s, of a drain timeout of 53", restarts(seen, "app") >= 1 and took < 25, f"{took:.1f} s")
    print(f"cluster: the restart took {took:.1f} s", flush=True)
    setting.kube.delete(pod, 1)


def flood(setting, folder):
    """Somebody holds every connection that the admin port has; the kubelet still gets its responses."""
    pod = setting.pod("serving", "flooded", livenessProbe=LIVENESS)
    seen = setting.started(pod)
    neighbour = subprocess.Popen([setting.work / "stub", "flood", "382", f"{address(seen)}:{ADMIN}", "/drain/wait?timeout=300s"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end, answered, silent = time.monotonic() + 25, 0, 0
    while time.monotonic() < end:
        status, _ = admin(seen, "/readyz")
        answered, silent = answered + (status == 200), silent + (status != 200)
        time.sleep(0.5)
    neighbour.kill()
    neighbour.wait()
    now = setting.kube.read(pod)
    check("382 waiters on the admin port restart nothing", restarts(now, "app") == 0 and restarts(now, "hybridge") == 0,
          (restarts(now, "app"), restarts(now, "hybridge")))
    check("/readyz responds meanwhile", answered > 10 * silent, f"{answered} responses, {silent} without")
    check("the pod is ready at the end", ready(setting.kube.until(pod, ready, 20)))
    setting.kube.delete(pod, 1)


def bad_secret(setting, folder):
    """A pair that does not fit, then a restart of the sidecar: the app goes on, and a good pair heals."""
    good = setting.secret("serving", "own-tls")
    pod = setting.pod("serving", "pair", {"hybridge.dev/tls-secret": "own-tls"}, livenessProbe=LIVENESS | {"periodSeconds": 2})
    seen = setting.started(pod)
    other = setting.secret("serving", "unused-tls")
    setting.put_secret("serving", "own-tls", good / "tls.crt", other / "tls.key")
    failed = re.compile(r'^hybridge_credential_reloads_total\{[^}]*result="failed"[^}]*\} [1-9]', re.MULTILINE)
    counted = wait(lambda: failed.search(admin(seen, "/metrics")[1]), 90)
    check("a pair that does not fit is counted and not loaded", counted)
    check("the pod stays ready with the old pair", ready(setting.kube.read(pod)))
    restarted_alone(setting, seen, "it")
    status, text = admin(seen, "/readyz")
    check("/readyz says 503 with a reason", status == 503 and text.strip(), (status, text))
    setting.put_secret("serving", "own-tls", good / "tls.crt", good / "tls.key")
    healed = setting.kube.until(pod, ready, 100)
    check("a good pair makes it ready, without a restart", ready(healed) and restarts(healed, "hybridge") == 1, healed.get("status"))
    setting.kube.delete(pod, 1)


def stream(setting, folder):
    pod = setting.pod("serving", "stream", spec={"terminationGracePeriodSeconds": 40})
    seen = setting.started(pod)
    client = subprocess.Popen([setting.work / "stub", "get", f"https://{address(seen)}:8000/stream?lines=32"], stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    setting.kube.delete(pod)
    time.sleep(2)
    code, answer = setting.stub("get", f"https://{address(seen)}:8000/v1/models")
    check("a new connection 2 s after the deletion is served: endpoint lists are slow", code == 0 and " 200 " in answer, answer)
    said = client.communicate(timeout=60)[0]
    check("a stream of 8 s runs over the deletion of its pod", client.returncode == 0 and "data: 31" in said, said[-100:])
    check("the pod is gone afterwards", gone(setting.kube.until(pod, gone, 60)))


def job(setting, folder):
    pod = setting.pod("serving", "work", {"hybridge.dev/mode": "explicit", "hybridge.dev/ports": "8000"}, args=["get", "http://127.0.0.1:15400/livez"],
                      readinessProbe=None, spec={"restartPolicy": "Never"})
    thing = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work", "namespace": "serving"},
             "spec": {"backoffLimit": 0, "template": {"metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": pod["spec"]}}}
    status, said = setting.kube.create(thing)
    seen = setting.kube.until(thing, lambda now: now.get("status", {}).get("succeeded") == 1, 60)
    check("a Job with a sidecar completes", status == 201 and seen.get("status", {}).get("succeeded") == 1, seen.get("status"))


def admin(pod, path):
    """Status and text of the admin port; 0 without a response within 2 s."""
    try:
        with urllib.request.urlopen(f"http://{address(pod)}:{ADMIN}{path}", timeout=2) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def kill(setting, pod, name):
    """SIGKILL to a container's first process."""
    states = pod["status"].get("initContainerStatuses", []) + pod["status"]["containerStatuses"]
    identity = next(each["containerID"] for each in states if each["name"] == name).removeprefix("containerd://")
    done = setting.node.ctr("tasks", "kill", "-s", "SIGKILL", identity)
    if done.returncode != 0:
        raise RuntimeError(f"{name} cannot be killed: {done.stderr}")


def restarted_alone(setting, pod, what):
    """Ends the sidecar; with what it meets then it runs on, and the app is not restarted."""
    kill(setting, pod, "hybridge")
    time.sleep(15)
    now = setting.kube.read(pod)
    check(f"restarted with {what}, the sidecar runs on and the app is left alone",
          restarts(now, "app") == 0 and restarts(now, "hybridge") == 1, (restarts(now, "app"), restarts(now, "hybridge")))


def wait(holds, deadline):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.5)
    return False
