"""Checks the built manifests and injected pods in the directory given; see validate.sh.

Schemas are strict: an unknown key is an error. CEL is run on injected pods and on spoiled ones, with
cel-python, which knows the language but not Kubernetes' own functions.
"""

import copy
import json
import pathlib
import re
import sys

import celpy
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(sys.argv[1])
# The first version with native sidecars by default, one in between, and the newest with a schema.
VERSIONS = ["1.29", "1.33", "1.37"]
# v1 of a kind appeared in: (older versions have no schema for it).
SINCE = {
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): "1.30",
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): "1.30",
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"): "1.36",
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"): "1.36",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "1.23",
}
# Custom resources: the fields we may use, from their CRDs.
CUSTOM = {
    "Certificate": {"secretName", "dnsNames", "duration", "renewBefore", "privateKey", "usages", "issuerRef", "isCA", "commonName"},
    "Issuer": {"selfSigned", "ca"},
    "PodMonitor": {"namespaceSelector", "selector", "podMetricsEndpoints"},
    "ServiceMonitor": {"namespaceSelector", "selector", "endpoints"},
    "PrometheusRule": {"groups"},
    "InferenceService": {"predictor"},
}
errors = []


def fail(where, what):
    errors.append(f"{where}: {what}")


def passed(what):
    """Said only when nothing failed since the last time."""
    if len(errors) == passed.errors:
        print(f"PASS validate: {what}")
    passed.errors = len(errors)


passed.errors = 0


def minor(version):
    return int(version.split(".")[1])


def documents(path):
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def pods(obj):
    kind = obj.get("kind")
    if kind == "Pod":
        yield obj
    elif kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"):
        yield obj["spec"]["template"]


def title(path, obj):
    return f"{path.name} {obj.get('kind')}/{obj.get('metadata', {}).get('name')}"


# --- strict schemas

def check_schema(path, obj):
    where = title(path, obj)
    if obj["kind"] in CUSTOM:
        unknown = set(obj["spec"]) - CUSTOM[obj["kind"]]
        if unknown:
            fail(where, f"fields {sorted(unknown)} are not among the known ones")
        return
    for version in VERSIONS:
        if minor(version) < minor(SINCE.get((obj["apiVersion"], obj["kind"]), "1.0")):
            continue
        try:
            kubernetes_validate.validate(obj, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            fail(where, f"{version}: {'/'.join(map(str, error.path))}: {error.message[:200]}")
        except kubernetes_validate.SchemaNotFoundError:
            fail(where, f"{version} has no schema for {obj['apiVersion']} {obj['kind']}")


def check_the_checker(path):
    spoiled = next(o for o in documents(path) if o["kind"] == "Deployment")
    spoiled["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesytem"] = True
    try:
        kubernetes_validate.validate(spoiled, VERSIONS[-1], strict=True)
        fail("schemas", "a planted misspelling was accepted")
    except kubernetes_validate.ValidationError:
        pass


# --- rules of the house

def containers(pod):
    spec = pod["spec"]
    return spec.get("containers", []) + spec.get("initContainers", [])


def check_pod(where, pod):
    spec = pod["spec"]
    for container in containers(pod):
        at = f"{where} container {container['name']}"
        image = container["image"]
        tag = image.rsplit("/", 1)[-1]
        if tag.endswith(":latest") or not re.search(r"[:@]", tag):
            fail(at, f"image {image} is not pinned")
        requests = container.get("resources", {}).get("requests", {})
        if not {"cpu", "memory"} <= set(requests):
            fail(at, "has no requests for cpu and memory")
        check_restricted(at, {**spec.get("securityContext", {}), **container.get("securityContext", {})})


def check_restricted(where, context):
    """Pod Security Standards, profile restricted."""
    if context.get("allowPrivilegeEscalation") is not False:
        fail(where, "allowPrivilegeEscalation is not false")
    if context.get("capabilities", {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
        fail(where, "does not drop all capabilities")
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        fail(where, "may run as root")
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        fail(where, "has no seccomp profile")
    if context.get("privileged"):
        fail(where, "is privileged")


def matches(selector, labels):
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())


def check_selectors(path, objs):
    """Every selector of a built kustomization selects one of its workloads."""
    templates = [pod["metadata"]["labels"] for o in objs for pod in pods(o)]
    templates += [{"serving.kserve.io/inferenceservice": o["metadata"]["name"]} for o in objs if o["kind"] == "InferenceService"]
    names = {(o["kind"], o["metadata"]["name"]) for o in objs}
    for o in objs:
        spec = o.get("spec", {})
        selector = {"Service": {"matchLabels": spec.get("selector")}, "PodDisruptionBudget": spec.get("selector"), "NetworkPolicy": spec.get("podSelector")}.get(o["kind"])
        if selector and not any(matches(selector, labels) for labels in templates):
            fail(title(path, o), f"selects nothing: {selector}")
        if o["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            if (target["kind"], target["name"]) not in names:
                fail(title(path, o), f"scales {target}, which is not there")


def check_webhook(path, objs):
    """Path, port and name of the certificate agree with Service and Deployment."""
    by = {(o["kind"], o["metadata"]["name"]): o for o in objs}
    config = by.get(("MutatingWebhookConfiguration", "hybridge-injector"))
    if not config:
        return
    service = by[("Service", "hybridge-injector")]
    ports = {p["port"]: p["targetPort"] for p in service["spec"]["ports"]}
    container = by[("Deployment", "hybridge-injector")]["spec"]["template"]["spec"]["containers"][0]
    listen = next(e["value"] for e in container["env"] if e["name"] == "HYBRIDGE_LISTEN")
    named = {p["name"]: p["containerPort"] for p in container["ports"]}
    paths = []
    for hook in config["webhooks"]:
        client = hook["clientConfig"]["service"]
        paths.append(client["path"])
        if (client["name"], client["namespace"]) != (service["metadata"]["name"], service["metadata"]["namespace"]):
            fail(path.name, f"webhook {hook['name']} calls {client}, which is not the Service")
        if not listen.endswith(f":{named[ports[client['port']]]}"):
            fail(path.name, f"webhook {hook['name']} arrives at another port than {listen}")
        for key, value in {"failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 5, "reinvocationPolicy": "IfNeeded", "matchPolicy": "Equivalent", "admissionReviewVersions": ["v1"]}.items():
            if hook[key] != value:
                fail(path.name, f"webhook {hook['name']}: {key} is {hook[key]}")
    if paths != ["/inject/namespace", "/inject/object"]:
        fail(path.name, f"webhook paths are {paths}")
    expected = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    certificate = by.get(("Certificate", "hybridge-injector"))
    if certificate and certificate["spec"]["dnsNames"] != [expected]:
        fail(path.name, f"the certificate names {certificate['spec']['dnsNames']}, not {expected}")
    image = next(e["value"] for e in container["env"] if e["name"] == "HYBRIDGE_IMAGE")
    if image != container["image"]:
        fail(path.name, f"the sidecar's image {image} is not the injector's {container['image']}")


def selects(expressions, labels):
    for e in expressions:
        value = labels.get(e["key"])
        holds = {
            "In": value in e.get("values", []),
            "NotIn": value not in e.get("values", []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[e["operator"]]
        if not holds:
            return False
    return True


def check_disjoint(path, objs):
    """No namespace and pod match both webhooks; who should be seen, is seen."""
    config = next((o for o in objs if o["kind"] == "MutatingWebhookConfiguration"), None)
    if not config:
        return
    for ns in (None, "enabled", "disabled", "typo"):
        for label in (None, "enabled", "disabled", "typo"):
            ns_labels = {"kubernetes.io/metadata.name": "ai"} | ({"hybridge.dev/injection": ns} if ns else {})
            labels = {"hybridge.dev/inject": label} if label else {}
            hit = [h["name"] for h in config["webhooks"] if selects(h["namespaceSelector"]["matchExpressions"], ns_labels) and selects(h["objectSelector"]["matchExpressions"], labels)]
            expected = []
            if ns == "enabled" and label != "disabled":
                expected = ["namespace.hybridge.dev"]
            elif ns is None and label in ("enabled", "typo"):
                expected = ["object.hybridge.dev"]
            if hit != expected:
                fail(path.name, f"namespace {ns}, pod {label}: {hit}, expected {expected}")
    own = {"kubernetes.io/metadata.name": "hybridge-system", "hybridge.dev/injection": "disabled"}
    if any(selects(h["namespaceSelector"]["matchExpressions"], own) for h in config["webhooks"]):
        fail(path.name, "the injector would wait for itself")


# --- CEL

def cel_true(expression, context):
    env = celpy.Environment()
    try:
        return bool(env.program(env.compile(expression)).evaluate(context))
    except celpy.CELEvalError as error:
        return f"error: {error}"


def cel_value(expression, context):
    env = celpy.Environment()
    return env.program(env.compile(expression)).evaluate(context)


def judge(policy, pod):
    context = {"object": celpy.json_to_cel(pod), "params": celpy.json_to_cel({"data": {"imagePrefix": "hybridge:"}})}
    variables = {}
    for v in policy["spec"].get("variables", []):
        variables[celpy.celtypes.StringType(v["name"])] = cel_value(v["expression"], context | {"variables": celpy.celtypes.MapType(variables)})
    context["variables"] = celpy.celtypes.MapType(variables)
    return [v["message"] if "message" in v else "image" for v in policy["spec"]["validations"] if cel_true(v["expression"], context) is not True]


def spoil(pod, change):
    pod = copy.deepcopy(pod)
    change(pod, next(c for c in pod["spec"]["initContainers"] if c["name"] == "hybridge"))
    return pod


SPOILED = {
    "no sidecar": lambda p, s: p["spec"].pop("initContainers"),
    "stripped restartPolicy": lambda p, s: s.pop("restartPolicy"),
    "foreign image": lambda p, s: s.update(image="evil:1"),
    "a shell instead": lambda p, s: s.update(command=["/bin/sh"]),
    "another command": lambda p, s: s.update(args=["ctl"]),
    "an unsafe variable": lambda p, s: s["env"].append({"name": "HYBRIDGE_UNSAFE_REMOTE_UPSTREAM", "value": "true"}),
    "privileges": lambda p, s: s["securityContext"].update(allowPrivilegeEscalation=True),
    "hostNetwork": lambda p, s: p["spec"].update(hostNetwork=True),
    "shared processes": lambda p, s: p["spec"].update(shareProcessNamespace=True),
    "a stolen key": lambda p, s: p["spec"]["containers"][0].update(volumeMounts=[{"name": "hybridge-tls", "mountPath": "/x"}]),
    "an impostor": lambda p, s: p["spec"]["containers"].append({"name": "hybridge", "image": "x:1"}),
}


def check_policy(injected):
    policy = next(o for o in documents(WORK / "built/injector.yaml") if o["metadata"]["name"] == "hybridge-sidecar" and o["kind"] == "ValidatingAdmissionPolicy")
    judged = 0
    for path, pod in injected:
        denied = judge(policy, pod)
        if denied:
            fail(path.name, f"the policy refuses an injected pod: {denied}")
        for name, change in SPOILED.items():
            if not judge(policy, spoil(pod, change)):
                fail(path.name, f"the policy accepts a pod with {name}")
            judged += 1
    passed(f"policy judged {len(injected)} injected pods and {judged} spoiled ones")
    labels = next(o for o in documents(WORK / "built/injector.yaml") if o["metadata"]["name"] == "hybridge-namespace-label" and o["kind"] == "ValidatingAdmissionPolicy")
    for labels_of, expected in [({}, True), (None, True), ({"hybridge.dev/injection": "enabled"}, True), ({"hybridge.dev/injection": "true"}, False)]:
        metadata = {"name": "x"} if labels_of is None else {"name": "x", "labels": labels_of}
        if (not judge(labels, {"metadata": metadata})) != expected:
            fail("hybridge-namespace-label", f"{labels_of} is judged wrongly")


# --- monitoring

def metric_names():
    """Names in the source, with the suffixes of histograms."""
    text = "".join(p.read_text() for p in [ROOT / "src/metrics.rs", *(ROOT / "src/metrics").glob("*.rs")])
    names = set(re.findall(r'"(?:hybridge_)?([a-z][a-z_]+)"', text))
    return {f"hybridge_{n}{suffix}" for n in names for suffix in ("", "_bucket", "_sum", "_count")}


def check_monitoring():
    objs = documents(WORK / "built/monitoring.yaml")
    rule = next(o for o in objs if o["kind"] == "PrometheusRule")
    (WORK / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    dashboard = json.loads(next(o for o in objs if o["kind"] == "ConfigMap")["data"]["hybridge.json"])
    queries = [r["expr"] for g in rule["spec"]["groups"] for r in g["rules"]]
    queries += [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    known = metric_names()
    used = set()
    for query in queries:
        for name in re.findall(r"(?<![:\w])hybridge_[a-z_]+", query):
            used.add(name)
            if name not in known:
                fail("monitoring", f"{name} is not a metric of the program: {query}")
    if len(used) < 10:
        fail("monitoring", f"only {sorted(used)} found in the queries")
    passed(f"{len(queries)} queries name {len(used)} metrics, all of which exist")


def main():
    built = sorted((WORK / "built").glob("*.yaml"))
    total = 0
    for path in built:
        objs = documents(path)
        for obj in objs:
            check_schema(path, obj)
            total += 1
            for pod in pods(obj):
                check_pod(title(path, obj), pod)
        check_selectors(path, objs) if path.name not in ("loadtest.yaml",) else None
        check_webhook(path, objs)
        check_disjoint(path, objs)
    passed(f"{total} objects in {len(built)} kustomizations checked against {VERSIONS}")
    injected = []
    for path in sorted((WORK / "injected").glob("*.yaml")):
        for obj in documents(path):
            if obj.get("spec", {}).get("futureField"):
                continue
            check_schema(path, obj)
            injected += [(path, pod) for pod in pods(obj)]
            for pod in pods(obj):
                sidecar = next(c for c in pod["spec"]["initContainers"] if c["name"] == "hybridge")
                check_restricted(f"{path.name} sidecar", sidecar["securityContext"])
    check_the_checker(WORK / "built/injector.yaml")
    if injected:
        check_policy(injected)
    check_monitoring()
    for error in errors:
        print(f"FAIL validate: {error}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
