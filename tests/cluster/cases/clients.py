"""Pods that demand certificates of their clients: admission, the policy, and on a kubelet who is let in."""

import json
import subprocess
import time

from cases.running import admin, restarted_alone, wait
from kube import ready, restarts, sidecar
from report import check, skip

SPACE = "clients"
RULE = "spiffe://example.org/ns/ai/sa/*"
BATCH, WEB = "spiffe://example.org/ns/ai/sa/batch", "spiffe://example.org/ns/web/sa/front"
ASKED = {"hybridge.dev/client-auth": "required", "hybridge.dev/client-ca": "configmap/client-ca", "hybridge.dev/allow-uri": RULE}
AGENT = {"hybridge.dev/tls-secret": None, "hybridge.dev/spiffe": "csi/csi.spiffe.io", "hybridge.dev/client-auth": "required", "hybridge.dev/allow-uri": RULE}
LIVENESS = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 2, "failureThreshold": 3}


def run(setting):
    setting.namespace(SPACE, enabled=True)
    folder = setting.secret(SPACE)
    old, new = Ca(setting.work, "clients-old"), Ca(setting.work, "clients-new")
    admission(setting)
    policy(setting)
    if not setting.node:
        return skip("requests with and without a certificate", "no kubelet in this run")
    tickets(setting, folder)
    seen = late(setting, old)
    served(setting, seen, folder, old)
    rotated(setting, seen, folder, old, new)
    unusable(setting, seen, folder, new)


class Ca:
    """A CA and its clients, made by openssl as the documents do."""

    def __init__(self, work, name):
        self.folder = work / name
        self.folder.mkdir()
        self.certificate = self.folder / "ca.crt"
        openssl("req", "-x509", *KEY, "-days", "30", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout", self.folder / "ca.key", "-out", self.certificate)

    def client(self, uri):
        """Options of the stub's client with a certificate for this URI."""
        stem = self.folder / uri.rpartition("/")[2]
        if not stem.with_suffix(".crt").exists():
            openssl("req", "-x509", *KEY, "-days", "30", "-subj", "/CN=client", "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
                    "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth",
                    "-addext", f"subjectAltName=URI:{uri}", "-keyout", stem.with_suffix(".key"), "-out", stem.with_suffix(".crt"))
        return ["--cert", stem.with_suffix(".crt"), "--key", stem.with_suffix(".key")]


KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def publish_cas(setting, *files):
    text = "".join(file if isinstance(file, str) else file.read_text() for file in files)
    thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "client-ca", "namespace": SPACE}, "data": {"ca.crt": text}}
    setting.kubectl("apply", "-f", "-", stdin=json.dumps(thing))


def admission(setting):
    status, said = setting.kube.create(setting.pod(SPACE, "dry", ASKED), dry_run=True)
    if check("a pod with client-auth is injected and valid", status == 201 and sidecar(said), said):
        env = {each["name"]: each.get("value") for each in sidecar(said)["env"]}
        check("its sidecar is told whom to let in", env.get("HYBRIDGE_CLIENT_AUTH") == "required" and env.get("HYBRIDGE_ALLOW_URI") == RULE, env)
        mounting = [each["name"] for each in said["spec"]["containers"] if any(m["name"] == "hybridge-tls" for m in each.get("volumeMounts", []))]
        check("only the sidecar mounts the CAs", not mounting and "client-ca.crt" in str(said["spec"]["volumes"]), said["spec"]["volumes"])
    status, said = setting.kube.create(setting.pod(SPACE, "agent", AGENT), dry_run=True)
    if check("a pod with spiffe is injected and valid", status == 201 and sidecar(said), said):
        env = {each["name"]: each.get("value") for each in sidecar(said)["env"]}
        check("its sidecar asks the agent and has no files", "HYBRIDGE_SPIFFE" in env and "HYBRIDGE_CERT" not in env, env)
        volumes = {each["name"]: each for each in said["spec"]["volumes"]}
        check("the socket comes by CSI", volumes["hybridge-spiffe"].get("csi", {}).get("driver") == "csi.spiffe.io", volumes)
    for what, wrong, remedy in (
            ("without a rule", {"hybridge.dev/allow-uri": None}, "allow-uri"),
            ("without CAs", {"hybridge.dev/client-ca": None}, "client-ca"),
            ("without client-auth", {"hybridge.dev/client-auth": None}, "client-auth: required"),
            ("a rule that cannot be read", {"hybridge.dev/allow-uri": "spiffe://example.org/a*"}, "allow-uri"),
            ("an agent by the path of its socket", {"hybridge.dev/spiffe": "unix:/run/agent.sock"}, "csi/csi.spiffe.io")):
        status, said = setting.kube.create(setting.pod(SPACE, "dry", ASKED | wrong), dry_run=True)
        check(f"{what}: refused with the remedy", status != 201 and remedy in said.get("message", ""), said.get("message", "created"))


def policy(setting):
    """A sidecar that does not do what the annotation says, while no webhook repairs it."""
    pod = setting.injected(setting.pod(SPACE, "forged", ASKED))
    with setting.without_webhook():
        status, said = setting.admitted(pod, lambda status, _: status == 201)
        check("injected offline, the policy accepts it", status == 201, said)
        found = sidecar(pod)
        found["env"] = [each for each in found["env"] if each["name"] != "HYBRIDGE_CLIENT_AUTH"]
        status, said = setting.kube.create(pod, dry_run=True)
        check("a sidecar that asks no client is refused by the policy", status in (403, 422) and "client-auth" in said.get("message", ""), said)


def tickets(setting, folder):
    """Two replicas with one Secret of ticket keys, and a third pod with its own."""
    file = setting.work / "tickets"
    setting.command(setting.hybridge, "ticket-keys", "new", file)
    setting.kubectl("-n", SPACE, "create", "secret", "generic", "ticket-keys", f"--from-file=tickets={file}")
    shared = {"hybridge.dev/ticket-keys": "secret/ticket-keys"}
    made = [setting.pod(SPACE, name, notes) for name, notes in (("one", shared), ("two", shared), ("alone", {}))]
    seen = [setting.started(pod) for pod in made]
    check("pods with shared ticket keys get ready", all(map(ready, seen)), [each.get("status") for each in seen])
    urls = [f"https://{each['status']['podIP']}:8000/v1/models" for each in seen]
    code, said = setting.stub("get", "--cacert", folder / "ca.crt", "--name", f"llama.{SPACE}.svc", "--resumption", urls[0], urls[1], urls[2])
    kinds = [line.split()[2] for line in said.splitlines() if " 200 " in line]
    check("a client resumes at the other replica, and not at a pod with keys of its own", code == 0 and kinds == ["full", "resumed", "full"], said)
    for pod in made:
        setting.kube.delete(pod, 1)


def late(setting, ca):
    pod = setting.pod(SPACE, "asks", ASKED, livenessProbe=LIVENESS)
    status, said = setting.kube.create(pod)
    check("a pod whose ConfigMap does not exist yet is created", status == 201, said)
    time.sleep(4)
    now = setting.kube.read(pod)
    check("it waits", not ready(now) and restarts(now, "hybridge") == 0, now.get("status"))
    publish_cas(setting, ca.certificate)
    seen = setting.kube.until(pod, ready, 120)
    check("it gets ready once the ConfigMap is there: probes need no certificate", ready(seen), seen.get("status"))
    return seen


def get(setting, pod, folder, *words, path="/v1/models"):
    return setting.stub("get", "--cacert", folder / "ca.crt", "--name", f"llama.{SPACE}.svc", *words, f"https://{pod['status']['podIP']}:8000{path}")


def served(setting, pod, folder, ca):
    code, said = get(setting, pod, folder)
    check("a client without a certificate is refused", code != 0 and "certificate required" in said, said)
    code, said = get(setting, pod, folder, *ca.client(BATCH))
    check("a client with one gets 200 over X25519MLKEM768", code == 0 and said.startswith("X25519MLKEM768 200"), said)
    code, said = get(setting, pod, folder, *ca.client(BATCH), "--header", "x-forwarded-client-cert=URI=spiffe://example.org/ns/ai/sa/root", path="/client")
    check("the app sees who it is in x-forwarded-client-cert, and not what the client claims",
          code == 0 and f"URI={BATCH}" in said and "sa/root" not in said and "Hash=" in said, said)
    code, said = get(setting, pod, folder, *ca.client(WEB))
    check("a client that no rule names is refused", code != 0 and "access denied" in said, said)
    text = admin(pod, "/metrics")[1]
    check("the sidecar counts them", "hybridge_client_certificates_total" in text and "client_certificate_missing" in text, text[-300:])


def rotated(setting, pod, folder, old, new):
    """Both CAs, then the new one only, as the documents say."""
    code, said = get(setting, pod, folder, *new.client(BATCH))
    check("a client of another CA is refused", code != 0 and "unknown" in said, said)
    publish_cas(setting, old.certificate, new.certificate)
    check("an added CA is trusted without a restart", wait(lambda: get(setting, pod, folder, *new.client(BATCH))[0] == 0, 120))
    check("the old one still is", get(setting, pod, folder, *old.client(BATCH))[0] == 0)
    publish_cas(setting, new.certificate)
    check("a removed CA is not", wait(lambda: get(setting, pod, folder, *old.client(BATCH))[0] != 0, 120))
    now = setting.kube.read(pod)
    check("nothing restarted", restarts(now, "hybridge") == 0 and restarts(now, "app") == 0, now.get("status"))


def unusable(setting, pod, folder, ca):
    """Content that cannot be used, then a restart of the sidecar: the app goes on, nobody is let in."""
    publish_cas(setting, "no certificate\n")
    said = wait(lambda: "client-ca" in admin(pod, "/readyz")[1], 120)
    check("CAs that cannot be used are said on /readyz", said, admin(pod, "/readyz"))
    check("the last good ones stay", ready(setting.kube.read(pod)) and get(setting, pod, folder, *ca.client(BATCH))[0] == 0)
    restarted_alone(setting, pod, "them")
    status, text = admin(pod, "/readyz")
    check("/readyz says 503 with the reason", status == 503 and "no usable CAs" in text, (status, text))
    check("nobody is let in meanwhile", get(setting, pod, folder, *ca.client(BATCH))[0] != 0 and get(setting, pod, folder)[0] != 0)
    publish_cas(setting, ca.certificate)
    healed = setting.kube.until(pod, ready, 120)
    check("good ones make it ready, without a restart", ready(healed) and restarts(healed, "hybridge") == 1, healed.get("status"))
    check("and clients are served", wait(lambda: get(setting, pod, folder, *ca.client(BATCH))[0] == 0, 20))
    setting.kube.delete(pod, 1)
