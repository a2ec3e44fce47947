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
    "Certificate": {"secretName", "dnsNames", "duration", "renewBefore", "privateKey", "usages", "issuerRef", "isCA", "commonName", "uris"},
    "Bundle": {"sources", "target"},
    "Issuer": {"selfSigned", "ca"},
    "PodMonitor": {"namespaceSelector", "selector", "podMetricsEndpoints"},
    "ServiceMonitor": {"namespaceSelector", "selector", "endpoints"},
    "PrometheusRule": {"groups"},
    "InferenceService": {"predictor"},
    "PyTorchJob": {"pytorchReplicaSpecs", "runPolicy", "elasticPolicy", "nprocPerNode"},
    "JobSet": {"replicatedJobs", "network", "successPolicy", "failurePolicy", "startupPolicy", "suspend", "coordinator", "managedBy", "ttlSecondsAfterFinished"},
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
    for job in jobs(obj):
        yield job["spec"]["template"]


def jobs(obj):
    """The Jobs that a JobSet makes, and those that the pods of a PyTorchJob would be."""
    if obj.get("kind") == "PyTorchJob":
        for role, each in obj["spec"]["pytorchReplicaSpecs"].items():
            unknown = set(each) - {"replicas", "restartPolicy", "template"}
            if unknown:
                fail(role, f"fields {sorted(unknown)} are not among the known ones")
            template = {**each["template"], "spec": {"restartPolicy": each["restartPolicy"], **each["template"]["spec"]}}
            yield {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": role.lower()}, "spec": {"completions": each["replicas"], "template": template}}
    if obj.get("kind") == "JobSet":
        for each in obj["spec"]["replicatedJobs"]:
            yield {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": each["name"]}, **each["template"]}


def title(path, obj):
    return f"{path.name} {obj.get('kind')}/{obj.get('metadata', {}).get('name')}"


# --- strict schemas

def check_schema(path, obj):
    where = title(path, obj)
    if obj["apiVersion"] == "builtin":
        return  # of kustomize itself
    if obj["kind"] in CUSTOM:
        unknown = set(obj["spec"]) - CUSTOM[obj["kind"]]
        if unknown:
            fail(where, f"fields {sorted(unknown)} are not among the known ones")
        for job in jobs(obj):
            check_schema(path, job)
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


def check_ranks(path, objs):
    """Pods that find one another by name have a headless Service, and before they are ready."""
    services = {o["metadata"]["name"]: o["spec"] for o in objs if o["kind"] == "Service"}
    for o in objs:
        spec = o.get("spec", {})
        named = {"StatefulSet": spec.get("serviceName"), "Job": spec.get("template", {}).get("spec", {}).get("subdomain")}.get(o["kind"])
        if not any("hybridge.dev/tunnel" in pod["metadata"].get("annotations", {}) for pod in pods(o)):
            continue
        where = title(path, o)
        if o["kind"] == "PyTorchJob":
            check_operators_ranks(where, o)
            continue
        if o["kind"] == "JobSet":
            network = spec.get("network", {})
            if network.get("enableDNSHostnames") is not True or network.get("publishNotReadyAddresses") is not True:
                fail(where, f"its ranks do not find one another: {network}")
            prefix = f"{o['metadata']['name']}-{spec['replicatedJobs'][0]['name']}-0-0.{network.get('subdomain', o['metadata']['name'])}"
        else:
            service = services.get(named)
            if not service or service.get("clusterIP") != "None" or service.get("publishNotReadyAddresses") is not True:
                fail(where, f"Service {named} is not headless, or hides ranks that are not ready")
            elif not all(matches({"matchLabels": service["selector"]}, pod["metadata"]["labels"]) for pod in pods(o)):
                fail(where, f"Service {named} selects other pods")
            prefix = f"{o['metadata']['name']}-0.{named}"
        for pod in pods(o):
            env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
            if env["MASTER_ADDR"] != prefix:
                fail(where, f"MASTER_ADDR is {env['MASTER_ADDR']}, and rank 0 is {prefix}")
            ranks = [job["spec"]["completions"] for job in jobs(o)] or [spec.get("completions", spec.get("replicas"))]
            if int(env["WORLD_SIZE"]) != sum(ranks):
                fail(where, f"WORLD_SIZE is {env['WORLD_SIZE']}, and there are {ranks}")
        ranks_checked.append(where)


def check_operators_ranks(where, job):
    """The operator names the ranks itself: one master, and nothing that contradicts what it sets."""
    roles = job["spec"]["pytorchReplicaSpecs"]
    if roles.get("Master", {}).get("replicas") != 1:
        fail(where, "no master")
    for role, each in roles.items():
        container = next((c for c in each["template"]["spec"]["containers"] if c["name"] == "pytorch"), None)
        if not container:
            fail(where, f"{role} has no container `pytorch`, which the operator looks for")
            continue
        own = {e["name"] for e in container["env"]} & {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK"}
        if own:
            fail(where, f"{role} sets {sorted(own)}, which the operator sets")
    ranks_checked.append(where)


ranks_checked = []


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
    if paths != ["/inject/namespace", "/inject/object", "/inject/enforced"]:
        fail(path.name, f"webhook paths are {paths}")
    expected = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    certificate = by.get(("Certificate", "hybridge-injector"))
    if certificate and certificate["spec"]["dnsNames"] != [expected]:
        fail(path.name, f"the certificate names {certificate['spec']['dnsNames']}, not {expected}")
    image = next(e["value"] for e in container["env"] if e["name"] == "HYBRIDGE_IMAGE")
    images = {container["image"], image} | {
        v["expression"].strip("'") for o in objs if o["kind"] == "ValidatingAdmissionPolicy" for v in o["spec"].get("variables", []) if v["name"] == "image"
    }
    if len(images) != 1:
        fail(path.name, f"injector, sidecars and policies have several images: {images}")


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
    for ns in (None, "enabled", "enforced", "disabled", "typo"):
        for label in (None, "enabled", "disabled", "typo"):
            ns_labels = {"kubernetes.io/metadata.name": "ai"} | ({"hybridge.dev/injection": ns} if ns else {})
            labels = {"hybridge.dev/inject": label} if label else {}
            hit = [h["name"] for h in config["webhooks"] if selects(h["namespaceSelector"]["matchExpressions"], ns_labels) and selects(h.get("objectSelector", {}).get("matchExpressions", []), labels)]
            expected = []
            if ns == "enabled" and label != "disabled":
                expected = ["namespace.hybridge.dev"]
            elif ns == "enforced":
                expected = ["enforced.hybridge.dev"]
            elif ns is None and label in ("enabled", "typo"):
                expected = ["object.hybridge.dev"]
            if hit != expected:
                fail(path.name, f"namespace {ns}, pod {label}: {hit}, expected {expected}")
    own = {"kubernetes.io/metadata.name": "hybridge-system", "hybridge.dev/injection": "disabled"}
    if any(selects(h["namespaceSelector"]["matchExpressions"], own) for h in config["webhooks"]):
        fail(path.name, "the injector would wait for itself")


# --- CEL

def find(text, pattern):
    """Kubernetes' own function: the first match, or nothing."""
    match = re.search(str(pattern), str(text))
    return celpy.celtypes.StringType(match.group(0) if match else "")


def trim(text):
    """Kubernetes' own function: without the white space around it."""
    return celpy.celtypes.StringType(str(text).strip())


# Types of Object come after the rules below are met; JSONPatch is looked at as text.
FUNCTIONS = {"find": find, "trim": trim, "dyn": lambda value: value}


def cel_value(expression, context):
    env = celpy.Environment()
    return env.program(env.compile(expression), functions=FUNCTIONS).evaluate(context)


def cel_true(expression, context):
    try:
        return bool(cel_value(expression, context))
    except celpy.CELEvalError as error:
        return f"error: {error}"


def with_variables(policy, context):
    variables = {}
    for v in policy["spec"].get("variables", []):
        inner = context | {"variables": celpy.celtypes.MapType(variables)}
        variables[celpy.celtypes.StringType(v["name"])] = cel_value(v["expression"], inner)
    return context | {"variables": celpy.celtypes.MapType(variables)}


def matched(policy, context):
    """A condition that is false decides, whatever the others are (they may be errors then)."""
    results = [cel_true(c["expression"], context) for c in policy["spec"].get("matchConditions", [])]
    return False not in results and all(r is True for r in results)


def evaluate(policy, pod, old=None):
    context = {"object": celpy.json_to_cel(pod)}
    if old is not None:
        context["oldObject"] = celpy.json_to_cel(old)
    if not matched(policy, context):
        return []
    context = with_variables(policy, context)
    validations = policy["spec"]["validations"]
    denied = [v for v in validations if cel_true(v["expression"], context) is not True]
    return [v["message"] if "message" in v else str(cel_value(v["messageExpression"], context)) for v in denied]


def find_object(built, kind, name):
    objs = documents(WORK / "built" / built)
    return next(o for o in objs if o["kind"] == kind and o["metadata"]["name"] == name)


def check_cel_shapes(path, objs):
    """What a real API server refuses or cannot bear, and no schema sees."""
    for o in objs:
        spec = o.get("spec", {})
        where = title(path, o)
        if o["kind"] in ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"):
            if "paramKind" in spec:
                fail(where, "has a paramKind: deleted and applied again it would find its parameters no more")
            for v in spec.get("variables", []):
                if re.search(r"\bObject\b", v["expression"]):
                    fail(where, f"variable {v['name']} uses Object, which exists in mutations only")
            for m in spec.get("mutations", []):
                if re.search(r"\bObject\b", m.get("jsonPatch", {}).get("expression", "")):
                    fail(where, "a JSONPatch value holds an Object: API server 1.36 panics")
        if o["kind"].endswith("AdmissionPolicyBinding") and "paramRef" in spec:
            fail(where, "has a paramRef")


def spoil(pod, change):
    pod = copy.deepcopy(pod)
    change(pod, next(c for c in pod["spec"]["initContainers"] if c["name"] == "hybridge"))
    return pod


def debug(**fields):
    return lambda p, s: p["spec"].update(ephemeralContainers=[{"name": "debugger", "image": "busybox:1"} | fields])


SPOILED = {
    "no sidecar": lambda p, s: p["spec"].pop("initContainers"),
    "stripped restartPolicy": lambda p, s: s.pop("restartPolicy"),
    "foreign image": lambda p, s: s.update(image="evil:1"),
    "an image whose name only begins alike": lambda p, s: s.update(image="localhost/hybridge-evil:1"),
    "the same name in another registry": lambda p, s: s.update(image="evil.example/hybridge:0.1.0"),
    "a shell instead": lambda p, s: s.update(command=["/bin/sh"]),
    "another command": lambda p, s: s.update(args=["ctl"]),
    "flags of its own": lambda p, s: s.update(args=["run", "--unsafe-remote-upstream", "true"]),
    "a file of settings": lambda p, s: s["env"].append({"name": "HYBRIDGE_CONFIG", "value": "/x"}),
    "variables from elsewhere": lambda p, s: s.update(envFrom=[{"configMapRef": {"name": "x"}}]),
    "an unsafe variable": lambda p, s: s["env"].append({"name": "HYBRIDGE_UNSAFE_REMOTE_UPSTREAM", "value": "true"}),
    "an unsafe variable of a section": lambda p, s: s["env"].append({"name": "HYBRIDGE_TRACES_UNSAFE_REMOTE_ENDPOINT", "value": "true"}),
    "privileges": lambda p, s: s["securityContext"].update(allowPrivilegeEscalation=True),
    "hostNetwork": lambda p, s: p["spec"].update(hostNetwork=True),
    "shared processes": lambda p, s: p["spec"].update(shareProcessNamespace=True),
    "the node's processes": lambda p, s: p["spec"].update(hostPID=True),
    "a stolen key": lambda p, s: p["spec"]["containers"][0].update(volumeMounts=[{"name": "hybridge-tls", "mountPath": "/x"}]),
    "a sidecar that asks no client, where the annotation does": lambda p, s: (
        p["metadata"]["annotations"].update({"hybridge.dev/client-auth": "required"}),
        s.update(env=[e for e in s["env"] if e["name"] != "HYBRIDGE_CLIENT_AUTH"])),
    "two words on clients": lambda p, s: (
        p["metadata"]["annotations"].update({"hybridge.dev/client-auth": "required"}),
        s["env"].extend({"name": "HYBRIDGE_CLIENT_AUTH", "value": word} for word in ("required", "off"))),
    "a sidecar with files, where the annotation names an agent": lambda p, s: (
        p["metadata"]["annotations"].update({"hybridge.dev/spiffe": "csi/csi.spiffe.io"}),
        s.update(env=[e for e in s["env"] if e["name"] != "HYBRIDGE_SPIFFE"])),
    "a sidecar with an agent of its own": lambda p, s: (
        p["metadata"]["annotations"].update({"hybridge.dev/spiffe": "csi/csi.spiffe.io"}),
        s.update(env=[e for e in s["env"] if e["name"] != "HYBRIDGE_SPIFFE"]
                 + [{"name": "HYBRIDGE_SPIFFE", "value": "unix:/tmp/agent.sock"}])),
    "an egress with another policy than the annotation": lambda p, s: (
        p["metadata"]["annotations"].update({"hybridge.dev/egress-policy": "hybrid-required"}),
        s.update(env=[e for e in s["env"] if e["name"] != "HYBRIDGE_EGRESS_POLICY"]
                 + [{"name": "HYBRIDGE_EGRESS_POLICY", "value": "hybrid-preferred"}])),
    "a sidecar that asks no client, where the namespace's annotation does": lambda p, s: (
        p["metadata"]["annotations"].pop("hybridge.dev/client-auth", None),
        p["metadata"]["annotations"].update({"namespace.hybridge.dev/client-auth": "required"}),
        s.update(env=[e for e in s["env"] if e["name"] != "HYBRIDGE_CLIENT_AUTH"] + [{"name": "HYBRIDGE_PORTS", "value": "1=127.0.0.1:1"}])),
    "an impostor": lambda p, s: p["spec"]["containers"].append({"name": "hybridge", "image": "x:1"}),
}
# Changes of a running pod: those the policy refuses, and those that are nobody's business.
CHANGES_REFUSED = {
    "another image": lambda p, s: s.update(image="evil:1"),
    "an ephemeral container with the key": debug(volumeMounts=[{"name": "hybridge-tls", "mountPath": "/x"}]),
    "an ephemeral container among the sidecar's processes": debug(targetContainerName="hybridge"),
    "no status": lambda p, s: p["metadata"]["annotations"].pop("hybridge.dev/status"),
    "another status": lambda p, s: p["metadata"]["annotations"].update({"hybridge.dev/status": "{}"}),
    "an opt-out": lambda p, s: p["metadata"].setdefault("labels", {}).update({"hybridge.dev/inject": "disabled"}),
    "shared processes after the fact": lambda p, s: p["metadata"]["annotations"].update({"hybridge.dev/allow-shared-pid": "true"}),
}
CHANGES_ALLOWED = {
    "nothing": lambda p, s: None,
    "a newer sidecar": lambda p, s: s.update(image="localhost/hybridge:0.2.0"),
    "a sidecar by digest": lambda p, s: s.update(image="localhost/hybridge@sha256:" + "a" * 64),
    "another image of the app": lambda p, s: p["spec"]["containers"][0].update(image="other:1"),
    "a label": lambda p, s: p["metadata"].setdefault("labels", {}).update(a="b"),
    "an ephemeral container beside the app": debug(targetContainerName="app"),
}


def check_policy(injected):
    policy = find_object("injector.yaml", "ValidatingAdmissionPolicy", "hybridge-sidecar")
    running = find_object("injector.yaml", "ValidatingAdmissionPolicy", "hybridge-running")
    checked = 0
    for path, pod in injected:
        denied = evaluate(policy, pod)
        if denied:
            fail(path.name, f"the policy refuses an injected pod: {denied}")
        for name, change in SPOILED.items():
            if not evaluate(policy, spoil(pod, change)):
                fail(path.name, f"the policy accepts a pod with {name}")
            checked += 1
        for name, change in CHANGES_REFUSED.items():
            if len(evaluate(running, spoil(pod, change), pod)) != 1:
                fail(path.name, f"the policy does not refuse, once, a running pod changed to {name}")
        for name, change in CHANGES_ALLOWED.items():
            denied = evaluate(running, spoil(pod, change), pod)
            if denied:
                fail(path.name, f"the policy refuses a running pod changed to {name}: {denied}")
        plain = spoil(pod, SPOILED["no sidecar"])
        if evaluate(running, plain, plain):
            fail(path.name, "the policy checks a running pod that has no sidecar")
    passed(f"policies checked {len(injected)} injected pods, {checked} spoiled ones, and {len(CHANGES_REFUSED) + len(CHANGES_ALLOWED)} changes of each while it runs")
    labels = find_object("injector.yaml", "ValidatingAdmissionPolicy", "hybridge-namespace-label")
    for labels_of, expected in [({}, True), (None, True), ({"hybridge.dev/injection": "enabled"}, True), ({"hybridge.dev/injection": "enforced"}, True), ({"hybridge.dev/injection": "true"}, False)]:
        metadata = {"name": "x"} if labels_of is None else {"name": "x", "labels": labels_of}
        if (not evaluate(labels, {"metadata": metadata})) != expected:
            fail("hybridge-namespace-label", f"{labels_of} is checked wrongly")


# --- policy-only: the sidecar that CEL makes

def explicit(**annotations):
    named = {f"hybridge.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    container = {"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "annotations": named}, "spec": {"containers": [container]}}


def plain(value):
    """CEL's values as Python's own."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    for kind in (celpy.celtypes.BoolType, celpy.celtypes.IntType):
        if isinstance(value, kind):
            return bool(value) if kind is celpy.celtypes.BoolType else int(value)
    return str(value)


def check_mutating_policy():
    policy = find_object("overlays_policy-only.yaml", "MutatingAdmissionPolicy", "hybridge-explicit")
    checking = find_object("overlays_policy-only.yaml", "ValidatingAdmissionPolicy", "hybridge-sidecar")
    asked = {"mode": "explicit", "ports": "8080", "tls_secret": "app-tls"}
    pod = explicit(**asked, policy="hybrid-required")
    context = {"object": celpy.json_to_cel(pod)}
    if not matched(policy, context):
        return fail("policy-only", "does not inject the pod it is made for")
    made = {k: plain(v) for k, v in with_variables(policy, context)["variables"].items()}
    injected = copy.deepcopy(pod)
    injected["spec"] |= {"volumes": [made["volume"]], "initContainers": [made["sidecar"]]}
    injected["metadata"]["annotations"]["hybridge.dev/status"] = made["status"]
    check_schema(pathlib.Path("policy-only"), injected)
    check_pod("policy-only", {"spec": {"containers": [made["sidecar"]]}})
    json.loads(made["status"])
    denied = evaluate(checking, injected)
    if denied:
        fail("policy-only", f"makes a pod that the other policy refuses: {denied}")
    env = {e["name"]: e.get("value") for e in made["sidecar"]["env"]}
    if (env["HYBRIDGE_PORTS"], env["HYBRIDGE_POLICY"]) != ("8443=127.0.0.1:8080", "hybrid-required"):
        fail("policy-only", f"the annotations are not in {env}")
    for what, other in {
        "an annotation it does not honour": explicit(**asked, memory="1Gi"),
        "a misspelled annotation": explicit(**asked, tls_secert="x"),
        "takeover": explicit(**(asked | {"mode": "takeover"})),
        "a port by name": explicit(**(asked | {"ports": "http"})),
        "a port beyond 65535": explicit(**(asked | {"ports": "65536"})),
        "the sidecar's own port": explicit(**(asked | {"ports": "8443"})),
        "an unknown policy": explicit(**asked, policy="pq"),
        "no annotation": {**explicit(), "metadata": {"name": "app"}},
        "an injected pod": injected,
    }.items():
        if matched(policy, {"object": celpy.json_to_cel(other)}):
            fail("policy-only", f"injects a pod with {what}")
    taken = explicit(**asked)
    taken["spec"]["containers"][0]["ports"] = [{"containerPort": 8443}]
    if matched(policy, {"object": celpy.json_to_cel(taken)}):
        fail("policy-only", "injects a pod whose port 8443 is taken")
    said = evaluate(checking, explicit(**asked, memory="1Gi"))
    if not any("mode explicit only" in m for m in said):
        fail("policy-only", f"the refusal does not name its limits: {said}")
    passed("policy-only makes a sidecar of the schema that the other policy accepts, and leaves 10 shapes to be refused")


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
        check_ranks(path, objs)
        check_webhook(path, objs)
        check_disjoint(path, objs)
        check_cel_shapes(path, objs)
    if len(ranks_checked) < 4:
        fail("training", f"only {ranks_checked} are checked")
    passed(f"{len(ranks_checked)} training jobs whose ranks find one another by name")
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
    check_mutating_policy()
    check_monitoring()
    for error in errors:
        print(f"FAIL validate: {error}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
