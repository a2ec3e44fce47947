"""The chart's values for pods, as pods show them: defaults of the cluster, of a namespace by a file and by its own
annotations, a registry that asks for a password, and OpenShift's users."""

import image
from cases.chart import CHART, Helm
from kube import ready, sidecar
from registry import PORT, Registry, secret
from report import check, skip
from setting import SYSTEM

DEFAULTS = {
    "tlsSecret": "of-the-cluster", "policy": "hybrid-required", "cpuRequest": "150m", "cpuLimit": "300m", "memory": "192Mi",
    "drainTimeout": "11s", "drainDelay": "3s", "logLevel": "debug", "initOrder": "last",
}
FIRST_INIT = {"name": "first", "image": "registry.example/stub:1", "args": ["get", "http://127.0.0.1:1/"]}


def run(setting):
    helm = Helm(setting)
    for name in ("ours", "theirs"):
        setting.namespace(name, enabled=True)
    setting.namespace(SYSTEM)
    private = bool(setting.node)
    # Not the bytes of the image that was loaded: the kubelet asks for the password wherever one was needed.
    registry = Registry(image.build(setting.hybridge, ["/hybridge"], ["--version"])) if private else None
    try:
        helm("install", "hybridge", CHART, "-n", SYSTEM, *values(setting, private, annotations=False))
        setting.injector_up()
        of_the_cluster(setting, private)
        of_a_namespace(setting)
        annotated(setting, helm, private)
        if private:
            pulled(setting, registry)
    finally:
        helm("uninstall", "hybridge", "-n", SYSTEM, "--ignore-not-found", fails=None)
        setting.injector_down()
        if registry:
            registry.stop()


def values(setting, private, annotations, memory="256Mi"):
    """Options of helm; `private` takes the image from the registry that asks for a password."""
    given = {f"defaults.{name}": value for name, value in DEFAULTS.items()}
    given |= {"openshift": "true", "image.sidecarPullSecrets[0]": "registry", "namespaceDefaults.ours.memory": memory,
              "namespaceDefaults.ours.drain-delay": "4s", "namespaceAnnotations": "true" if annotations else "false"}
    if private:
        setting.kube.create(secret(SYSTEM))
        given |= {"image.repository": f"localhost:{PORT}/pq/hybridge", "image.tag": "private", "image.pullSecrets[0]": "registry"}
    return [word for pair in given.items() for word in ("--set", "=".join(pair))]


def variables(pod):
    return {each["name"]: each.get("value") for each in (sidecar(pod) or {}).get("env", [])}


def dry(setting, namespace, annotations=(), **more):
    notes = {"hybridge.dev/tls-secret": None} | dict(annotations)
    return setting.kube.create(setting.pod(namespace, "dry", notes, **more), dry_run=True)[1]


def of_the_cluster(setting, private):
    said = dry(setting, "theirs", spec={"initContainers": [FIRST_INIT]})
    found, env = sidecar(said) or {}, variables(said)
    resources = found.get("resources")
    check("defaults: cpuRequest, cpuLimit, memory", resources == {
        "limits": {"cpu": "300m", "memory": "192Mi"}, "requests": {"cpu": "150m", "memory": "192Mi"}}, resources or said)
    seen = [env.get(f"HYBRIDGE_{name}") for name in ("POLICY", "DRAIN_TIMEOUT", "DRAIN_DELAY", "LOG_LEVEL")]
    check("defaults: policy, drainTimeout, drainDelay, logLevel", seen == ["hybrid-required", "11s", "3s", "debug"], seen)
    volumes = str(said.get("spec", {}).get("volumes"))
    check("defaults: tlsSecret", "of-the-cluster" in volumes, volumes)
    order = [each["name"] for each in said.get("spec", {}).get("initContainers", [])]
    check("defaults: initOrder", order == ["first", "hybridge"], order)
    check("sidecarPullSecrets are the pod's", said["spec"].get("imagePullSecrets") == [{"name": "registry"}], said["spec"].get("imagePullSecrets"))
    context = found.get("securityContext", {})
    check("openshift: the sidecar has no fixed user and may not be root", "runAsUser" not in context and context.get("runAsNonRoot"), context)
    own = dry(setting, "theirs", {"hybridge.dev/memory": "64Mi", "hybridge.dev/drain-delay": "1s", "hybridge.dev/policy": "hybrid-preferred",
                                  "hybridge.dev/cpu-limit": "1", "hybridge.dev/log-level": "warn"})
    env = variables(own)
    seen = [sidecar(own)["resources"]["limits"], *(env[f"HYBRIDGE_{name}"] for name in ("DRAIN_DELAY", "POLICY", "LOG_LEVEL"))]
    check("an annotation of the pod wins", seen == [{"cpu": "1", "memory": "64Mi"}, "1s", "hybrid-preferred", "warn"], seen)


def memory(said):
    return (sidecar(said) or {}).get("resources", {}).get("limits", {}).get("memory")


def of_a_namespace(setting):
    said = dry(setting, "ours")
    seen = (memory(said), variables(said).get("HYBRIDGE_DRAIN_DELAY"), variables(said).get("HYBRIDGE_POLICY"))
    check("namespaceDefaults win over defaults, which count for the rest", seen == ("256Mi", "4s", "hybrid-required"), seen)
    seen = memory(dry(setting, "ours", {"hybridge.dev/memory": "64Mi"}))
    check("an annotation of the pod wins over namespaceDefaults", seen == "64Mi", seen)
    seen = memory(dry(setting, "theirs"))
    check("namespaceDefaults of one namespace are not another's", seen == "192Mi", seen)
    done = setting.plane.kubectl("annotate", "namespace", "theirs", "hybridge.dev/memory=1Gi")
    check("an annotation of a namespace that nobody would read is refused", done.returncode != 0 and "namespaceDefaults" in done.stderr, done.stderr)


def annotated(setting, helm, private):
    """Annotations of the namespace itself; the same upgrade changes the file, which replaces the injector's pods."""
    minor = int(setting.kube.get("/version")["minor"].rstrip("+"))
    can = minor >= 36
    helm("upgrade", "hybridge", CHART, "-n", SYSTEM, *values(setting, private, annotations=can, memory="288Mi"))
    setting.injector_up()
    status, said = setting.admitted(setting.pod("ours", "file"), lambda _, said: memory(said) == "288Mi")
    check("an upgrade's namespaceDefaults are followed", memory(said) == "288Mi", memory(said) or said)
    if not can:
        return skip("annotations of a namespace", f"MutatingAdmissionPolicy v1 needs 1.36, this is 1.{minor}")
    setting.kubectl("annotate", "namespace", "ours", "hybridge.dev/memory=320Mi")
    status, said = setting.admitted(setting.pod("ours", "note"), lambda _, said: memory(said) == "320Mi")
    check("an annotation of the namespace wins over namespaceDefaults", memory(said) == "320Mi", memory(said) or said)
    check("what it does not say stays", variables(said).get("HYBRIDGE_DRAIN_DELAY") == "4s", variables(said))
    without = setting.pod("ours", "bare")
    del without["metadata"]["annotations"]
    status, said = setting.kube.create(without, dry_run=True)
    check("a pod without any annotation gets it too", memory(said) == "320Mi", said)
    seen = memory(dry(setting, "ours", {"hybridge.dev/memory": "64Mi"}))
    check("an annotation of the pod wins over its namespace's", seen == "64Mi", seen)
    others = {"egress-ca": "configmap/ca", "egress-policy": "pq-required", "traces-sample": "0.5", "sealed-size": "1Gi"}
    setting.kubectl("annotate", "namespace", "ours", *(f"hybridge.dev/{name}={value}" for name, value in others.items()))
    status, said = setting.admitted(setting.pod("ours", "other"), lambda _, said: "sealed-size" in str(said.get("metadata")))
    check("what concerns other pods of the namespace refuses none", status == 201 and memory(said) == "320Mi", said)
    setting.kubectl("annotate", "namespace", "ours", *(f"hybridge.dev/{name}-" for name in others), "hybridge.dev/client-auth=required",
                    "hybridge.dev/client-ca=configmap/ca", "hybridge.dev/allow-any=true")
    status, said = setting.admitted(setting.pod("ours", "asks"), lambda _, said: "HYBRIDGE_CLIENT_AUTH" in variables(said))
    check("client-auth of the namespace reaches the sidecar", variables(said).get("HYBRIDGE_CLIENT_AUTH") == "required", said)
    weak = setting.pod("ours", "weak")
    weak["metadata"]["annotations"] = said["metadata"]["annotations"]
    weak["spec"] = said["spec"]
    sidecar(weak)["env"] = [each for each in sidecar(weak)["env"] if each["name"] != "HYBRIDGE_CLIENT_AUTH"]
    status, said = setting.kube.create(weak, dry_run=True)
    check("a sidecar that asks no client becomes one that does", variables(said).get("HYBRIDGE_CLIENT_AUTH") == "required", said)
    setting.kubectl("annotate", "namespace", "ours", *(f"hybridge.dev/{name}-" for name in ("client-auth", "client-ca", "allow-any")))
    status, said = setting.kube.create(setting.pod("ours", "out", labels={"hybridge.dev/inject": "disabled"}), dry_run=True)
    check("a pod that opts out gets none", "hybridge.dev/memory" not in str(said["metadata"].get("annotations")), said)
    done = setting.plane.kubectl("annotate", "namespace", "ours", "hybridge.dev/memroy=1Gi")
    check("a misspelt annotation of a namespace is refused", done.returncode != 0 and "memory" in done.stderr, done.stderr)
    setting.kubectl("annotate", "--overwrite", "namespace", "ours", "hybridge.dev/memory=little")
    status, said = setting.admitted(setting.pod("ours", "wrong"), lambda status, _: status != 201)
    check("a wrong value there refuses pods by name", status != 201 and "hybridge.dev/memory" in said.get("message", ""), said)
    setting.kubectl("annotate", "namespace", "ours", "hybridge.dev/memory-")


def pulled(setting, registry):
    """On the kubelet: the sidecar's image by the pod's pull Secret, and a user that a platform assigned."""
    setting.kube.create(secret("ours"))
    setting.secret("ours")
    pod = setting.pod("ours", "pulled", {"hybridge.dev/policy": "hybrid-preferred", "hybridge.dev/memory": "64Mi"},
                      spec={"securityContext": {"runAsUser": 1000680000, "runAsGroup": 0, "fsGroup": 1000680000}})
    seen = setting.started(pod)
    check("a pod whose sidecar comes from a registry with a password gets ready", ready(seen), seen.get("status"))
    check("the registry was asked with the password", registry.served >= 3 and registry.refused >= 1, (registry.served, registry.refused))
    code, said = setting.stub("get", f"https://{seen['status'].get('podIP')}:8000/v1/models")
    check("a user of the platform reads the key: the port speaks X25519MLKEM768", code == 0 and said.startswith("X25519MLKEM768 200"), said)
    setting.kube.delete(pod, 0)
