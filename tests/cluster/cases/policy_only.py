"""Injection by the API server itself: overlays/policy-only, its limits, and what it refuses."""

import time

from cases.running import wait
from kube import ready, sidecar
from report import check, skip

EXPLICIT = {"hybridge.dev/mode": "explicit", "hybridge.dev/ports": "8000"}
# Annotations that the policy cannot honour: the pod must be refused, not injected without them.
BEYOND = {
    "client-auth": {"hybridge.dev/client-auth": "required"},
    "client-ca": {"hybridge.dev/client-ca": "configmap/clients"},
    "spiffe": {"hybridge.dev/spiffe": "csi/csi.spiffe.io"},
    "listen-port": {"hybridge.dev/listen-port": "9443"},
    "protocol": {"hybridge.dev/protocol": "tcp"},
    "memory": {"hybridge.dev/memory": "512Mi"},
    "a misspelt key": {"hybridge.dev/tls-sercet": "llama-tls"},
    "several ports": {"hybridge.dev/ports": "8000,8001"},
    "a port's name": {"hybridge.dev/ports": "http"},
    "mode takeover": {"hybridge.dev/mode": "takeover"},
    "no mode": {"hybridge.dev/mode": None},
    "no Secret": {"hybridge.dev/tls-secret": None},
}


def run(setting):
    minor = setting.kube.get("/version")["minor"]
    if int(minor.rstrip("+")) < 36:
        return skip("overlays/policy-only", f"MutatingAdmissionPolicy v1 needs 1.36, this is 1.{minor}")
    overlay = setting.manifests / "overlays/policy-only"
    setting.kubectl("apply", "-k", overlay)
    try:
        injected(setting)
    finally:
        setting.kubectl("delete", "--ignore-not-found", "-k", overlay, timeout=180)


def injected(setting):
    setting.namespace("mutated", enabled=True)
    folder = setting.secret("mutated")
    pod = setting.pod("mutated", "explicit", EXPLICIT)
    status, said = settle(setting, pod)
    if not check("overlays/policy-only injects a pod in mode explicit", status == 201 and sidecar(said), said):
        return
    check("no panic of the API server", "panic" not in setting.plane.log_end("kube-apiserver", 200_000))
    policy = EXPLICIT | {"hybridge.dev/policy": "hybrid-required"}
    status, said = setting.kube.create(setting.pod("mutated", "policy", policy), dry_run=True)
    given = {each["name"]: each.get("value") for each in (sidecar(said) or {}).get("env", [])}.get("HYBRIDGE_POLICY")
    check("annotation policy is honoured", given == "hybrid-required", given or said)
    with_volumes = setting.pod("mutated", "volumes", EXPLICIT, spec={
        "volumes": [{"name": "tmp", "emptyDir": {}}], "initContainers": [{"name": "first", "image": "registry.example/stub:1"}]})
    status, said = setting.kube.create(with_volumes, dry_run=True)
    check("volumes and init containers of the pod stay", status == 201 and len(said["spec"]["initContainers"]) == 2
          and {"tmp", "hybridge-tls"} <= {each["name"] for each in said["spec"]["volumes"]}, said)
    # The policy that checks takes effect by itself, before or after the one that injects.
    wait(lambda: setting.kube.create(setting.pod("mutated", "beyond", {}), dry_run=True)[0] in (403, 422), 30)
    for what, annotations in BEYOND.items():
        status, said = setting.kube.create(setting.pod("mutated", "beyond", EXPLICIT | annotations), dry_run=True)
        check(f"{what}: refused, with what the policy can do", status in (403, 422) and "explicit" in said["message"], said)
    collides = setting.pod("mutated", "collides", EXPLICIT, ports=[{"containerPort": 8443}])
    status, said = setting.kube.create(collides, dry_run=True)
    check("an app on the sidecar's own port is refused", status in (403, 422), said)
    status, said = setting.kube.create(setting.pod("mutated", "out", labels={"hybridge.dev/inject": "disabled"}), dry_run=True)
    check("a pod that opts out is left alone", status == 201 and not sidecar(said), said)
    if setting.node:
        served(setting, pod, folder)


def settle(setting, pod, deadline=30):
    """New policies take effect a moment after they are written."""
    end = time.monotonic() + deadline
    while True:
        status, said = setting.kube.create(pod, dry_run=True)
        if (status == 201 and sidecar(said)) or time.monotonic() > end:
            return status, said
        time.sleep(0.5)


def served(setting, pod, folder):
    seen = setting.started(pod)
    check("the pod gets ready", ready(seen), seen.get("status"))
    code, said = setting.stub("get", "--cacert", folder / "ca.crt", "--name", "llama.mutated.svc",
                              f"https://{seen['status'].get('podIP')}:8443/v1/models")
    check("port 8443 speaks X25519MLKEM768", code == 0 and said.startswith("X25519MLKEM768 200"), said)
    setting.kube.delete(pod, 0)
