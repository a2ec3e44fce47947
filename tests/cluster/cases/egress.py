"""The app's own connections over TLS, tunnels, an agent's certificate and traces: annotations on a real API server,
in namespaces that Pod Security restricts."""

import copy
import json

from cases.admission import FORGED, refused, template
from kube import sidecar
from report import check
from setting import ROOT

# What the profile restricted asks of the app's own containers; the sidecar's are the injector's matter.
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "runAsUser": 1000,
              "seccompProfile": {"type": "RuntimeDefault"}}
STORE = {"hybridge.dev/egress": "store=127.0.0.1:9000->store.ml.svc:443", "hybridge.dev/egress-ca": "configmap/server-ca"}
FULL = STORE | {
    "hybridge.dev/egress-tls-secret": "store-client", "hybridge.dev/egress-policy": "hybrid-required", "hybridge.dev/egress-protocol": "http",
    "hybridge.dev/egress-env": "AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000", "hybridge.dev/policy": "hybrid-required",
    "hybridge.dev/traces-endpoint": "https://collector.observability.svc:4318", "hybridge.dev/traces-ca": "configmap/collector-ca",
    "hybridge.dev/traces-sample": "0.1",
}
PROXY = {
    "hybridge.dev/tls-secret": None, "hybridge.dev/ports": "none", "hybridge.dev/egress": "proxy=127.0.0.1:3128",
    "hybridge.dev/egress-capture": "http-proxy", "hybridge.dev/egress-targets-allowed": "*.ml.svc:443",
    "hybridge.dev/egress-ca": "secret/internal-ca:bundle.pem",
}
RULE = "spiffe://train.example/ns/ml/sa/train"
RANK = {
    "hybridge.dev/tunnel": "enabled", "hybridge.dev/client-auth": "required", "hybridge.dev/client-ca": "secret/train",
    "hybridge.dev/allow-uri": RULE, "hybridge.dev/egress": "peers=127.0.0.1:1080->{host}:15443", "hybridge.dev/egress-capture": "socks5",
    "hybridge.dev/egress-targets-allowed": "*.train:1024-65535", "hybridge.dev/egress-ca": "secret/train",
    "hybridge.dev/egress-tls-secret": "train", "hybridge.dev/egress-peer-ids": RULE,
}
AGENT = STORE | {"hybridge.dev/tls-secret": None, "hybridge.dev/spiffe": "csi/csi.spiffe.io", "hybridge.dev/client-auth": "required",
                 "hybridge.dev/allow-uri": RULE}

# The annotations of a pod, what its sidecar is told, the variables that it must not have, and files of its volume.
PLANNED = {
    "a server with an egress, a client certificate and traces": (FULL, {
        "HYBRIDGE_PORTS": "8000=127.0.0.1:8000", "HYBRIDGE_EGRESS": "store=127.0.0.1:9000->store.ml.svc:443",
        "HYBRIDGE_EGRESS_POLICY": "hybrid-required", "HYBRIDGE_EGRESS_PROTOCOL": "http", "HYBRIDGE_TRACES_SAMPLE": "0.1",
        "HYBRIDGE_TRACES_ENDPOINT": "https://collector.observability.svc:4318",
    }, ["HYBRIDGE_EGRESS_CAPTURE"], ["tls.key", "egress-ca.crt", "egress.crt", "egress.key"]),
    "a client whose app names its targets": (PROXY, {
        "HYBRIDGE_EGRESS_CAPTURE": "http-proxy", "HYBRIDGE_EGRESS_LISTEN": "127.0.0.1:3128", "HYBRIDGE_EGRESS_TARGETS_ALLOWED": "*.ml.svc:443",
    }, ["HYBRIDGE_PORTS", "HYBRIDGE_CERT"], ["egress-ca.crt"]),
    "a rank with both ends of tunnels": (RANK, {
        "HYBRIDGE_PROTOCOL": "tunnel", "HYBRIDGE_EGRESS_TUNNEL": "true", "HYBRIDGE_EGRESS_PEER_IDS": RULE, "HYBRIDGE_CLIENT_AUTH": "required",
    }, ["HYBRIDGE_PORTS"], ["client-ca.crt", "egress.key"]),
    "an egress beside an agent's certificate": (AGENT, {
        "HYBRIDGE_CLIENT_AUTH": "required", "HYBRIDGE_EGRESS": "store=127.0.0.1:9000->store.ml.svc:443",
    }, ["HYBRIDGE_CERT"], ["egress-ca.crt"]),
}

# Annotations that contradict one another, or what the pod is, and words of the refusal.
REFUSED = {
    "no CAs": ({"hybridge.dev/egress": STORE["hybridge.dev/egress"]}, "egress-ca"),
    "only what belongs to an egress": ({"hybridge.dev/egress-policy": "hybrid-required"}, "hybridge.dev/egress"),
    "a capture without a limit": (STORE | {"hybridge.dev/egress": "p=127.0.0.1:3128", "hybridge.dev/egress-capture": "socks5"}, "egress-targets-allowed"),
    "a limit without a capture": (STORE | {"hybridge.dev/egress-targets-allowed": "*.svc:443"}, "egress-capture"),
    "capture redirect": (STORE | {"hybridge.dev/egress-capture": "redirect"}, "k8s/examples/redirect.yaml"),
    "an egress that others reach": (STORE | {"hybridge.dev/egress": "a=0.0.0.0:9000->b:1"}, "is not loopback"),
    "an egress to itself": (STORE | {"hybridge.dev/egress": "a=127.0.0.1:9000->127.0.0.1:9000"}, "would loop"),
    "an egress on the app's port": (STORE | {"hybridge.dev/egress": "a=127.0.0.1:8000->b:1"}, "the app's"),
    "a policy that does not exist": (STORE | {"hybridge.dev/egress-policy": "pq"}, "hybrid-required"),
    "capture and protocol": (RANK | {"hybridge.dev/egress-protocol": "http"}, "contradicts egress-capture"),
    "a tunnel for everybody": ({"hybridge.dev/tunnel": "enabled"}, "client-auth: required"),
    "a tunnel and a port behind TLS": (RANK | {"hybridge.dev/ports": "8000"}, "contradicts tunnel"),
    "no port and a Secret for it": (PROXY | {"hybridge.dev/tls-secret": "llama-tls"}, "no port of this pod is behind TLS"),
    "an agent and a Secret": (AGENT | {"hybridge.dev/tls-secret": "llama-tls"}, "tls-secret"),
    "traces of a client": (PROXY | {"hybridge.dev/traces-endpoint": "http://127.0.0.1:4318"}, "no port of this pod is behind TLS"),
}


def run(setting):
    for profile in ("restricted", "baseline"):
        space = setting.namespace(f"egress-{profile}", enabled=True, **{"pod-security.kubernetes.io/enforce": profile})
        for what, planned in PLANNED.items():
            accepted(setting, space, profile, what, *planned)
    enforced(setting)
    contradictions(setting)
    forged(setting)


def accepted(setting, space, profile, what, annotations, told, untold, files):
    spec = {"containers": [app("app", "registry.example/vllm/vllm-openai:stub"), app("exporter", "registry.example/exporter:1")]}
    pod = setting.pod(space, "planned", annotations, spec=spec if profile == "restricted" else ())
    status, said = setting.kube.create(pod, dry_run=True)
    what = f"{profile}, {what}"
    if not check(f"{what}: injected and valid", status == 201 and sidecar(said), said):
        return
    env = {each["name"]: each.get("value") for each in sidecar(said)["env"]}
    check(f"{what}: the sidecar is told", told.items() <= env.items() and not set(untold) & set(env), env)
    volume = next((each for each in said["spec"]["volumes"] if each["name"] == "hybridge-tls"), {})
    paths = [item["path"] for source in volume.get("projected", {}).get("sources", []) for kind in source.values() for item in kind.get("items", [])]
    check(f"{what}: its files", set(files) <= set(paths), volume)
    apps = said["spec"]["containers"]
    mounting = [each["name"] for each in apps if any(mount["name"].startswith("hybridge-") for mount in each.get("volumeMounts", []))]
    check(f"{what}: no container of the app mounts them", not mounting, mounting)
    wanted = [entry.split("=", 1) for entry in annotations.get("hybridge.dev/egress-env", "").split(",") if entry]
    learned = all({"name": name, "value": value} in each.get("env", []) for each in apps for name, value in wanted)
    check(f"{what}: the app's containers learn of it, and of nothing else", learned and all(len(each.get("env", [])) == len(wanted) for each in apps), apps)


def app(name, image):
    """A container that the profile restricted accepts; the first one is the server."""
    server = {"args": ["--model", "/m", "--port", "8000"], "ports": [{"name": "http", "containerPort": 8000}]} if name == "app" else {}
    return {"name": name, "image": image, "securityContext": copy.deepcopy(RESTRICTED)} | server


def enforced(setting):
    """The profiles are in force: what the documents say that they refuse is refused."""
    plain = setting.pod("egress-restricted", "plain", FULL)
    status, said = setting.kube.create(plain, dry_run=True)
    named = said.get("message", "")
    check("restricted: an app that is not restricted is refused, and the sidecar is not named",
          status == 403 and "PodSecurity" in named and '"app"' in named and '"hybridge"' not in named, named)
    text = setting.kubectl("create", "--dry-run=client", "-o", "json", "-f", ROOT / "k8s/examples/redirect.yaml")
    decoder, at, redirect = json.JSONDecoder(), 0, None
    while at < len(text.rstrip()):
        thing, at = decoder.raw_decode(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
        if thing["kind"] == "StatefulSet":
            redirect = template(thing, "redirect")
    redirect["metadata"] |= {"namespace": "egress-baseline", "labels": {"hybridge.dev/inject": "disabled"}, "annotations": {}}
    status, said = setting.kube.create(redirect, dry_run=True)
    check("baseline: capture redirect needs NET_ADMIN, and is refused", status == 403 and "NET_ADMIN" in said.get("message", ""), said)


def contradictions(setting):
    for what, (annotations, words) in REFUSED.items():
        refused(setting, what, setting.pod("egress-baseline", "refused", annotations), words)
    own = [{"name": "AWS_ENDPOINT_URL_S3", "value": "https://hunter2.example"}]
    pod = setting.pod("egress-baseline", "refused", FULL, env=own)
    refused(setting, "a variable that the app has with another value", pod, "AWS_ENDPOINT_URL_S3", "another value")
    status, said = setting.kube.create(pod, dry_run=True)
    check("and neither value is repeated", status != 201 and "hunter2" not in said["message"] and "127.0.0.1:9000" not in said["message"], said)


# What somebody makes of the sidecar's egress while no webhook repairs it.
WEAKENED = {
    "another policy of the egress": lambda pod, sidecar: variable(sidecar, "HYBRIDGE_EGRESS_POLICY", "hybrid-preferred"),
    "an egress that others reach": lambda pod, sidecar: sidecar["env"].append({"name": "HYBRIDGE_EGRESS_UNSAFE_REMOTE_LISTEN", "value": "true"}),
    "the key in the app": FORGED["the key in the app"],
}


def variable(sidecar, name, value):
    next(each for each in sidecar["env"] if each["name"] == name)["value"] = value


def forged(setting):
    given = setting.injected(setting.pod("egress-baseline", "forged", FULL))
    with setting.without_webhook():
        status, said = setting.admitted(given, lambda status, _: status == 201)
        check("without a webhook, a pod with an egress that was injected offline is accepted", status == 201, said)
        for what, forge in WEAKENED.items():
            pod = copy.deepcopy(given)
            forge(pod, sidecar(pod))
            status, said = setting.kube.create(pod, dry_run=True)
            check(f"without a webhook, {what}: the policy refuses it", status in (403, 422) and "hybridge-sidecar" in said.get("message", ""), said)
