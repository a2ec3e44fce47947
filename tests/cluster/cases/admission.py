"""What admission makes of pods: shapes of real workloads, refusals, and changes of pods that run."""

import copy
import json

from kube import sidecar
from report import check, skip
from setting import ROOT

VLLM = "registry.example/vllm/vllm-openai:stub"
DECODE = {
    "name": "routing-proxy", "image": "registry.example/llm-d/llm-d-routing-sidecar:stub", "restartPolicy": "Always",
    "args": ["--port=8000", "--vllm-port=8001"], "ports": [{"name": "sidecar", "containerPort": 8000}],
}
# Clients of a model: command and arguments that name a host must stay as they are.
CLIENTS = {
    "vllm bench serve": {"image": VLLM, "command": ["vllm"], "args": ["bench", "serve", "--host", "llama.ai.svc", "--port", "8000"]},
    "ollama pull": {"image": "registry.example/ollama/ollama:stub", "args": ["pull", "llama3"],
                    "env": [{"name": "OLLAMA_HOST", "value": "ollama.ai.svc:11434"}], "ports": [{"containerPort": 11434}]},
    "--host of a database": {"image": "registry.example/app:stub", "args": ["--host", "redis.cache.svc"]},
}


def run(setting):
    setting.namespace("shapes", enabled=True)
    setting.secret("shapes")
    fixtures(setting)
    refusals(setting)
    decode(setting)
    clients(setting)
    triton(setting)
    sized(setting)
    namespaces(setting)
    forged(setting)
    running_pods(setting)


def fixtures(setting):
    """Every fixture of the offline tests passes the real validation, and both fronts make the same pod."""
    count = 0
    for file in sorted((ROOT / "tests/inject/pods").glob("*.yaml")):
        golden = ROOT / "tests/inject/golden" / f"{file.stem}.json"
        refused = golden.exists() and "denied" in json.loads(golden.read_text())
        pod = template(json.loads(setting.kubectl("create", "--dry-run=client", "-o", "json", "-f", file)), file.stem)
        status, said = setting.kube.create(pod, dry_run=True)
        if refused:
            check(f"{file.name} is refused", status != 201 and "hybridge" in said["message"], said)
            continue
        if not check(f"{file.name} is injected and valid", status == 201 and sidecar(said), said):
            continue
        offline = setting.command(setting.hybridge, "inject", "-f", "-", stdin=json.dumps(pod))
        status, again = setting.kube.create(json.loads(setting.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=offline)), dry_run=True)
        check(f"{file.name}: offline and webhook make the same pod", same(said, again), difference(said, again))
        count += 1
    check("fixtures were found", count >= 8, count)


def template(thing, name):
    """The pod of a workload, in the namespace of these cases."""
    pod = thing if thing["kind"] == "Pod" else thing["spec"].get("jobTemplate", thing)["spec"]["template"]
    metadata = {key: value for key, value in pod.get("metadata", {}).items() if key in ("labels", "annotations")}
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != "hybridge.dev/inject"}
    annotations = metadata.get("annotations") or {}
    # A pod with an egress may have no port for a Secret, and an agent takes its place.
    if not annotations.keys() & {"hybridge.dev/egress", "hybridge.dev/spiffe"}:
        annotations = {"hybridge.dev/tls-secret": "llama-tls"} | annotations
    spec = {key: value for key, value in pod["spec"].items() if key not in ("serviceAccountName", "priorityClassName")}
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": metadata | {"name": name, "namespace": "shapes", "annotations": annotations}}


def comparable(pod):
    volumes = [each for each in pod["spec"]["volumes"] if not each["name"].startswith("kube-api-access-")]
    # Whether the API server's mount comes before ours or behind it says nothing.
    containers = [each | {"volumeMounts": sorted(each.get("volumeMounts", []), key=lambda mount: mount["mountPath"])}
                  for each in pod["spec"]["containers"]]
    text = json.dumps({"spec": pod["spec"] | {"volumes": volumes, "containers": containers}, "annotations": pod["metadata"]["annotations"]}, sort_keys=True)
    for each in pod["spec"]["volumes"]:
        text = text.replace(each["name"], "kube-api-access") if each["name"].startswith("kube-api-access-") else text
    return text


def same(one, other):
    return "spec" in other and comparable(one) == comparable(other)


def difference(one, other):
    if "spec" not in other:
        return other
    a, b = comparable(one), comparable(other)
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), 0)
    return f"webhook ...{a[max(0, at - 60):at + 80]} offline ...{b[max(0, at - 60):at + 80]}"


def refused(setting, what, pod, *words):
    status, said = setting.kube.create(pod, dry_run=True)
    message = said.get("message", "")
    check(f"{what}: refused", status != 201 and all(word in message for word in words), message or "created")


def refusals(setting):
    pod = lambda *given, **more: setting.pod("shapes", "refused", *given, **more)
    refused(setting, "an annotation that is misspelt", pod({"hybridge.dev/tls-sercet": "x"}), "tls-secret")
    refused(setting, "hostPID", pod(spec={"hostPID": True}), "hostPID")
    refused(setting, "hostNetwork", pod(spec={"hostNetwork": True}), "hostNetwork")
    refused(setting, "an unknown server in takeover", pod(image="registry.example/unknown:1", args=["serve"]), "explicit")
    status, said = setting.kube.create(pod({"hybridge.dev/bind": "none"}, image="registry.example/unknown:1"), dry_run=True)
    check("an unknown server that is on loopback by its own word: injected", status == 201 and sidecar(said), said)


def decode(setting):
    """A native sidecar of somebody else owns the serving port (llm-d, KServe's decode pods)."""
    spec = {"initContainers": [DECODE]}
    make = lambda annotations: setting.pod("shapes", "decode", annotations, spec=spec, args=["serve", "m", "--port", "8001"],
                                           ports=[{"name": "http", "containerPort": 8001}])
    refused(setting, "decode pod without ports", make({}), "ports")
    refused(setting, "decode pod, the native sidecar's port", make({"hybridge.dev/ports": "8000"}), "routing-proxy", "explicit")
    status, said = setting.kube.create(make({"hybridge.dev/ports": "8000", "hybridge.dev/mode": "explicit"}), dry_run=True)
    check("decode pod in mode explicit: injected", status == 201 and sidecar(said), said)


def clients(setting):
    for what, container in CLIENTS.items():
        pod = setting.pod("shapes", "client", **container)
        status, said = setting.kube.create(pod, dry_run=True)
        if status != 201:
            check(f"{what}: refused with a way out", "hybridge" in said["message"], said)
            continue
        app = said["spec"]["containers"][0]
        kept = app.get("args") == container["args"] and [each.get("value") for each in app.get("env", [])] == [
            each["value"] for each in container.get("env", [])]
        check(f"{what}: its target stays", kept, (app.get("args"), app.get("env")))


def triton(setting):
    """KServe's runtime runs Triton on ports of its own."""
    pod = setting.pod("shapes", "triton", {"hybridge.dev/ports": "8080"}, image="registry.example/nvidia/tritonserver:stub",
                      args=["tritonserver", "--http-port=8080", "--grpc-port=9000", "--model-store=/m"],
                      ports=[{"name": "http", "containerPort": 8080}, {"name": "grpc", "containerPort": 9000}],
                      readinessProbe={"grpc": {"port": 9000}})
    status, said = setting.kube.create(pod, dry_run=True)
    if check("triton on other ports: injected", status == 201 and sidecar(said), said):
        probe = said["spec"]["containers"][0]["readinessProbe"]
        check("triton on other ports: the probe of the moved gRPC port follows", probe.get("httpGet", {}).get("port") == 15400, probe)


def sized(setting):
    """Resources of the pod itself (spec.resources), which have to hold the sidecar's too."""
    minor = int(setting.kube.get("/version")["minor"].rstrip("+"))
    if minor < 34:
        return skip("resources of the pod itself", f"they need 1.34, this is 1.{minor}")
    amounts = lambda cpu, memory: {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}
    make = lambda cpu, memory: setting.pod("shapes", "sized", spec={"resources": amounts(cpu, memory)}, resources=amounts("200m", "64Mi"))
    refused(setting, "a pod's own resources without room for the sidecar", make("200m", "64Mi"), "aggregate container requests")
    said = setting.plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(make("200m", "64Mi"))).stderr
    check("the webhook warns of it, with the amounts", "spec.resources" in said and "cpu 100m and memory 128Mi" in said, said)
    status, said = setting.kube.create(make("300m", "192Mi"), dry_run=True)
    found = sidecar(said) or {}
    check("with room for 100m and 128Mi: injected", status == 201 and found.get("resources", {}).get("requests") == {"cpu": "100m", "memory": "128Mi"}, said)
    check("and Guaranteed stays Guaranteed", said.get("status", {}).get("qosClass") == "Guaranteed", said.get("status"))


def namespaces(setting):
    """Which pods are checked, by labels of namespace and pod."""
    setting.namespace("quiet")
    status, said = setting.kube.create(setting.pod("quiet", "unrelated"), dry_run=True)
    check("a pod nobody asked for: untouched", status == 201 and not sidecar(said), said)
    status, said = setting.kube.create(setting.pod("quiet", "asks", labels={"hybridge.dev/inject": "enabled"}), dry_run=True)
    check("a pod that asks: injected", status == 201 and sidecar(said), said)
    status, said = setting.kube.create(setting.pod("quiet", "typo", labels={"hybridge.dev/inject": "true"}), dry_run=True)
    check("a pod's label that is misspelt: refused", status != 201, said)
    typo = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "typo", "labels": {"hybridge.dev/injection": "yes"}}}
    status, said = setting.kube.create(typo)
    check("a namespace's label that is misspelt: refused", status != 201 and "injection" in said["message"], said)
    setting.namespace("enforced", **{"hybridge.dev/injection": "enforced"})
    status, said = setting.kube.create(setting.pod("enforced", "out", labels={"hybridge.dev/inject": "disabled"}), dry_run=True)
    check("an enforced namespace: no pod opts out", status == 403 or (status == 201 and sidecar(said)), said)


# What somebody makes of an injected pod while no webhook repairs it: the pod and its sidecar.
FORGED = {
    "hostPID": lambda pod, sidecar: pod["spec"].update(hostPID=True),
    "hostNetwork": lambda pod, sidecar: pod["spec"].update(hostNetwork=True),
    "shared processes": lambda pod, sidecar: pod["spec"].update(shareProcessNamespace=True),
    "no restartPolicy": lambda pod, sidecar: [sidecar.pop(key) for key in ("restartPolicy", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle")],
    "another image": lambda pod, sidecar: sidecar.update(image="evil.example/hybridge:1"),
    "another command": lambda pod, sidecar: sidecar.update(command=["/bin/sh"]),
    "flags of its own": lambda pod, sidecar: sidecar.update(args=["run", "--unsafe-remote-upstream", "true"]),
    "variables from elsewhere": lambda pod, sidecar: sidecar.update(envFrom=[{"configMapRef": {"name": "x"}}]),
    "an unsafe variable": lambda pod, sidecar: sidecar["env"].append({"name": "HYBRIDGE_UNSAFE_REMOTE_UPSTREAM", "value": "true"}),
    "an unsafe variable of a section": lambda pod, sidecar: sidecar["env"].append({"name": "HYBRIDGE_TRACES_UNSAFE_REMOTE_ENDPOINT", "value": "true"}),
    "privileges": lambda pod, sidecar: sidecar["securityContext"].update(allowPrivilegeEscalation=True),
    "the key in the app": lambda pod, sidecar: pod["spec"]["containers"][0].update(volumeMounts=[{"name": "hybridge-tls", "mountPath": "/x"}]),
}


def forged(setting):
    """The policies only, on the real API server."""
    given = setting.injected(setting.pod("shapes", "forged"))
    with setting.without_webhook():
        status, said = setting.admitted(given, lambda status, _: status == 201)
        check("without a webhook, a pod injected offline is accepted", status == 201, said)
        for what, forge in FORGED.items():
            pod = copy.deepcopy(given)
            forge(pod, sidecar(pod))
            status, said = setting.kube.create(pod, dry_run=True)
            check(f"without a webhook, {what}: the policy refuses it", status in (403, 422) and "hybridge-sidecar" in said.get("message", ""), said)


def running_pods(setting):
    """Changes that would take the key or the protection of a pod that was injected."""
    pod = setting.pod("shapes", "stays")
    status, said = setting.kube.create(pod)
    if not check("a pod to change", status == 201 and sidecar(said), said):
        return
    strategic = "application/strategic-merge-patch+json"
    image = {"spec": {"initContainers": [{"name": "hybridge", "image": "evil.example/hybridge:1"}]}}
    status, said = setting.kube.merge(pod, image, kind=strategic)
    check("another image for the sidecar: refused", status in (403, 422), said)
    status, said = setting.kube.merge(pod, {"spec": {"containers": [{"name": "app", "image": VLLM + "2"}]}}, kind=strategic)
    check("another image for the app: allowed", status == 200, said)
    debug = lambda **more: {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example/stub:1", **more}]}}
    status, said = setting.kube.merge(pod, debug(volumeMounts=[{"name": "hybridge-tls", "mountPath": "/key"}]), "/ephemeralcontainers", strategic)
    check("an ephemeral container with the key's volume: refused", status in (403, 422), said)
    status, said = setting.kube.merge(pod, debug(), "/ephemeralcontainers", strategic)
    check("an ephemeral container without it: allowed", status == 200, said)
    status, said = setting.kube.merge(pod, {"metadata": {"annotations": {"hybridge.dev/status": "forged"}}})
    check("a forged status: refused", status in (403, 422), said)
    status, said = setting.kube.merge(pod, {"metadata": {"labels": {"team": "serving"}}})
    check("a label of somebody else: allowed", status == 200, said)
    setting.kube.delete(pod, 0)
