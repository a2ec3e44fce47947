"""`hybridge.dev/sealed`: a model that lies sealed on the node is opened into memory before the app starts, and
what may not be opened keeps the pod from starting with the reason in its status."""

import hashlib
import os
import urllib.parse

from kube import gone, ready
from report import check, skip

SIZE = 48 << 20
PATH = "/models/llama"


def run(setting):
    if not setting.node:
        return skip("pods", "no kubelet in this run")
    setting.namespace("sealed", enabled=True)
    folder = setting.secret("sealed")
    store = prepared(setting)
    notes = {
        "hybridge.dev/sealed": f"store/llama={PATH}", "hybridge.dev/sealed-identity": "secret/llama-identity",
        "hybridge.dev/sealed-signer": "configmap/llama-signer", "hybridge.dev/sealed-size": "48Mi",
    }
    volume = {"volumes": [{"name": "store", "hostPath": {"path": str(store)}}]}
    image = opened(setting, folder, notes, volume)
    for name, more, says in (
        ("stranger", {"hybridge.dev/sealed-signer": "configmap/stranger"}, "signature is wrong: it was made with another key"),
        ("changed", {"hybridge.dev/sealed": f"store/changed={PATH}"}, "weights.safetensors.age"),
        ("too-large", {"hybridge.dev/sealed-size": "40Mi"}, "are free: make room, or raise `sizeLimit` of the volume"),
    ):
        refused(setting, name, notes | more, volume, says)
    limited(setting, image, volume)


def prepared(setting):
    """Identity, signers, and the model sealed at two places, of which one was changed."""
    work, store = setting.work / "sealed", setting.work / "store"
    model = work / "llama"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}\n")
    # As much as the volume holds, less what the directory and the signatures take.
    with open(model / "weights.safetensors", "wb") as file:
        file.write(os.urandom(1 << 20) * ((SIZE >> 20) - 1))
    setting.command(setting.hybridge, "keys", "seal", "--out", work / "id")
    for signer in ("signer", "stranger"):
        setting.command(setting.hybridge, "keys", "sign", "--out", work / signer)
    store.mkdir()
    for name in ("llama", "changed"):
        setting.command(setting.hybridge, "seal", model, store / name, "-r", work / "id/recipient.txt", "--sign-with", work / "signer")
    with open(store / "changed/weights.safetensors.age", "r+b") as file:
        file.seek(5 << 20)
        file.write(b"changed")
    setting.kubectl("-n", "sealed", "create", "secret", "generic", "llama-identity", f"--from-file=identity.txt={work}/id/identity.txt")
    for name, signer in (("llama-signer", "signer"), ("stranger", "stranger")):
        files = [f"--from-file={work}/{signer}/{key}.pub" for key in ("ec", "mldsa")]
        setting.kubectl("-n", "sealed", "create", "configmap", name, *files)
    return store


def opened(setting, folder, notes, volume):
    pod = setting.pod("sealed", "opened", notes, spec=volume)
    seen = setting.started(pod, 120)
    states = seen.get("status", {})
    check("a pod with a sealed model gets ready", ready(seen), states)
    host = f"{states.get('podIP')}:8000"
    query = urllib.parse.urlencode({"name": f"{PATH}/weights.safetensors"})
    trusted = ["--cacert", folder / "ca.crt", "--name", "llama.sealed.svc"]
    code, said = setting.stub("get", *trusted, f"https://{host}/sha256?{query}")
    with open(setting.work / "sealed/llama/weights.safetensors", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    check("the app reads the model that was sealed", code == 0 and digest in said, said)
    query = urllib.parse.urlencode({"name": "/proc/mounts"})
    code, said = setting.stub("get", *trusted, f"https://{host}/file?{query}")
    mount = next((line for line in said.splitlines() if f" {PATH} " in line), "")
    check("the model is in memory, and the app cannot write it", mount.startswith("tmpfs ") and " ro," in mount, mount or said)
    removed(setting, pod)
    return next(each["image"] for each in seen["spec"]["initContainers"] if each["name"] == "hybridge-open")


def removed(setting, pod):
    """Whose processor the next one needs."""
    setting.kube.delete(pod, 1)
    check("it is gone after deletion", gone(setting.kube.until(pod, gone, 60)))


def message(pod, container="hybridge-open"):
    """What the kubelet says of how the init container ended, and its exit code."""
    for each in pod.get("status", {}).get("initContainerStatuses", []):
        if each["name"] == container:
            ended = each["state"].get("terminated") or each.get("lastState", {}).get("terminated")
            if ended:
                return ended.get("exitCode"), ended.get("message", "")
    return None, ""


def refused(setting, name, notes, volume, says, pod=None, container="hybridge-open"):
    pod = pod or setting.pod("sealed", name, notes, spec=volume)
    status, said = setting.kube.create(pod)
    if not check(f"{name}: the pod is created", status == 201, said):
        return
    seen = setting.kube.until(pod, lambda now: message(now, container)[0] is not None, 90)
    code, told = message(seen, container)
    check(f"{name}: its status says why", code == 1 and says in told, (code, told, seen.get("status")))
    started = [each for each in seen["status"].get("containerStatuses", []) if "running" in each["state"]]
    check(f"{name}: the app does not start", not started and not ready(seen), seen.get("status"))
    print(f"cluster: {name}: {told.strip().splitlines()[-1] if told else ''}", flush=True)
    removed(setting, pod)


def limited(setting, image, volume):
    """A pod by hand whose volume is large enough, and whose memory limit is not."""
    keys = {"name": "keys", "projected": {"sources": [
        {"secret": {"name": "llama-identity"}}, {"configMap": {"name": "llama-signer"}}]}}
    opener = {
        "name": "open", "image": image, "terminationMessagePolicy": "FallbackToLogsOnError",
        "args": ["open", "/sealed/llama", "/opened", "--identity", "/keys/identity.txt", "--verify-with", "/keys", "--require-memory"],
        "resources": {"limits": {"memory": "64Mi"}},
        "volumeMounts": [{"name": "store", "mountPath": "/sealed", "readOnly": True},
                         {"name": "opened", "mountPath": "/opened"}, {"name": "keys", "mountPath": "/keys", "readOnly": True}],
    }
    memory = {"name": "opened", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}}
    spec = {"volumes": [*volume["volumes"], memory, keys], "initContainers": [opener], "restartPolicy": "Never"}
    off = {"hybridge.dev/inject": "disabled"}
    pod = setting.pod("sealed", "limited", {"hybridge.dev/tls-secret": None}, labels=off, spec=spec)
    refused(setting, "limited", None, None, "raise `resources.limits.memory` of this container", pod=pod, container="open")
