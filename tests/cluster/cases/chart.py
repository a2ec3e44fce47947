"""The Helm chart: what it renders, what it refuses, and installed, upgraded, rolled back and uninstalled."""

import base64
import json
import os
import subprocess

from cases.install import current, holds
from kube import as_it_was, sidecar
from report import check
from setting import ROOT, SYSTEM

CHART = ROOT / "k8s/chart"
# Each is a typing error or a danger that must end before anything is installed.
REFUSED = {
    "a value nobody knows": "imagee.tag=1",
    "the tag latest": "image.tag=latest",
    "a repository without a registry": "image.repository=hybridge",
    "a digest that is none": "image.digest=sha256:abc",
    "a policy that does not exist": "defaults.policy=hybrid",
    "no replica": "replicas=0",
    "a certificate mode that does not exist": "certificate.mode=self",
    "mode existing without a CA": "certificate.mode=existing",
    "a port that the Service does not have": "listen=0.0.0.0:8443",
    "a name that no namespace can have": "enforcedNamespaces={team.ai}",
    "the injector's own namespace as an enforced one": f"enforcedNamespaces={{{SYSTEM}}}",
    "a namespace of Kubernetes as an enforced one": "enforcedNamespaces={bank,kube-system}",
    "an address that the API server cannot reach": "listen=127.0.0.1:9443",
    "an address that is a name": "admin=localhost:15400",
    "a version that has no policies": "kubernetesVersion=1.28",
    "memory that a sidecar cannot start in": "defaults.memory=31Mi",
    "no CPU": "defaults.cpuRequest=0m",
}


def run(setting):
    helm = Helm(setting)
    rendered(setting, helm)
    refused(helm)
    bundles(setting, helm)
    try:
        life(setting, helm)
        existing(setting, helm)
    finally:
        helm("uninstall", "hybridge", "-n", SYSTEM, "--ignore-not-found", fails=None)
        setting.injector_down()


class Helm:
    """The real helm, its state in the cluster and nothing in the home folder."""

    def __init__(self, setting):
        self.program, home = setting.helm_program, setting.work / "helm"
        self.environment = {**os.environ, "KUBECONFIG": str(setting.plane.kubeconfig), "HELM_CACHE_HOME": str(home),
                            "HELM_CONFIG_HOME": str(home), "HELM_DATA_HOME": str(home)}

    def __call__(self, *words, fails=False, stdin=None):
        """Output; `fails` is what the command must do, None for either."""
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, timeout=240, env=self.environment, input=stdin)
        said = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        if fails is not None and (done.returncode != 0) != fails:
            raise RuntimeError(f"helm {' '.join(map(str, words))}: exit code {done.returncode}: {said[-600:]}")
        return said

    def objects(self, setting, *words):
        """What `helm template` renders, by kind and name."""
        return by_name(setting, self("template", "hybridge", CHART, "-n", SYSTEM, *words))


def by_name(setting, text):
    """Parsed by kubectl, whose client-side dry run asks the API server for kinds only."""
    said = setting.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", stdin=text)
    decoder, at, found = json.JSONDecoder(), 0, {}
    while at < len(said.rstrip()):
        thing, at = decoder.raw_decode(said, at)
        at += len(said[at:]) - len(said[at:].lstrip())
        for each in thing["items"] if thing["kind"] == "List" else [thing]:
            found[each["kind"], each["metadata"]["name"]] = each
    return found


def rendered(setting, helm):
    check("helm lint --strict", "0 chart(s) failed" in helm("lint", "--strict", CHART))
    done = subprocess.run([CHART / "render", "--check"], capture_output=True, text=True, env={**os.environ, "HELM": helm.program})
    check("k8s/injector is what k8s/chart/render writes", done.returncode == 0, (done.stdout + done.stderr)[-500:])
    kustomized = by_name(setting, setting.kubectl("kustomize", ROOT / "k8s/injector"))
    chart = helm.objects(setting, "--set", "namespace.create=true,certificate.mode=external")
    check("chart and kustomize have the same objects", chart.keys() == kustomized.keys(), chart.keys() ^ kustomized.keys())
    for key in chart.keys() & kustomized.keys():
        check(f"chart and kustomize: {key[0]} {key[1]} is the same", chart[key] == kustomized[key], difference(chart[key], kustomized[key]))
    moved = helm.objects(setting, "--set", "image.repository=registry.example/pq/hybridge,image.digest=sha256:" + "a" * 64)
    text = json.dumps([each for each in moved.values()])
    check("one value moves every image", "localhost/hybridge" not in text and text.count("registry.example/pq/hybridge@sha256:") >= 4, text.count("@sha256:"))
    open_shift = helm.objects(setting, "--set", "openshift=true")["Deployment", "hybridge-injector"]
    check("openshift: no fixed user", "runAsUser" not in json.dumps(open_shift), open_shift)
    manager = helm("template", "hybridge", CHART, "--set", "certificate.mode=certManager")
    check("cert-manager issues and injects", "kind: Certificate" in manager and "inject-ca-from" in manager and "caBundle" not in manager)


def difference(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        return "; ".join(filter(None, (difference(one.get(key), other.get(key), f"{path}.{key}") for key in one.keys() | other.keys())))
    return "" if one == other else f"{path}: chart {json.dumps(one)[:200]}, kustomize {json.dumps(other)[:200]}"


def refused(helm):
    for what, value in REFUSED.items():
        said = helm("template", "hybridge", CHART, "-n", SYSTEM, "--set", value, fails=None)
        wrong = value.partition("=")[0].split(".")
        check(f"{what} is refused by name", "rror" in said and any(word in said for word in wrong), said)


def life(setting, helm):
    helm("install", "hybridge", CHART, "-n", SYSTEM, "--create-namespace")
    setting.injector_up()
    # The webhook stays Helm's own until the end: one that kubectl put back is no longer.
    holds(setting, "helm install", alone=False)
    first, made = current(setting), secret(setting)
    repository, _, tag = first.rpartition(":")
    setting.namespace("ours")
    setting.namespace("theirs")
    values = f"image.tag=next,enforcedNamespaces={{ours}},defaults.policy=hybrid-required,defaults.tlsSecret=of-the-cluster"
    helm("upgrade", "hybridge", CHART, "-n", SYSTEM, "--set", values)
    setting.injector_up()
    holds(setting, "helm upgrade", alone=False)
    check("helm upgrade keeps the certificate", secret(setting) == made)
    status, said = setting.kube.create(setting.pod("probe", "upgraded", {"hybridge.dev/tls-secret": None}), dry_run=True)
    given = {each["name"]: each.get("value") for each in sidecar(said)["env"]}.get("HYBRIDGE_POLICY")
    check("sidecars follow image, policy and Secret of the values", "of-the-cluster" in json.dumps(said["spec"]["volumes"])
          and (sidecar(said)["image"], given) == (f"{repository}:next", "hybrid-required"), (sidecar(said)["image"], given))
    out = {"labels": {"hybridge.dev/inject": "disabled"}}
    # A webhook that refuses names itself; only a decision counts here.
    enforced = lambda status, said: status == 403 or (status == 201 and sidecar(said))
    status, said = setting.admitted(setting.pod("ours", "out", **out), enforced)
    check("an enforced namespace: no pod opts out", enforced(status, said), said)
    status, said = setting.kube.create(setting.pod("theirs", "out", **out), dry_run=True)
    check("another namespace is untouched", status == 201 and not sidecar(said), said)
    helm("rollback", "hybridge", "1", "-n", SYSTEM)
    setting.injector_up()
    holds(setting, "helm rollback", alone=False)
    check("helm rollback has the first image and certificate", (current(setting), secret(setting)) == (first, made), current(setting))
    status, said = setting.admitted(setting.pod("ours", "out", **out), as_it_was)
    check("helm rollback: nothing is enforced any more", as_it_was(status, said), said)
    holds(setting, "after helm rollback")
    gone_again(setting, helm)


def bundles(setting, helm):
    """Everybody in the cluster may read a webhook configuration: of what is given as a CA, certificates get there only."""
    folder = setting.work / "bundles"
    setting.command(setting.hybridge, "certs", "--dir", folder, "--name", "localhost")
    certificate, key = (folder / "ca.crt").read_text(), (folder / "tls.key").read_text()

    def given(text, mode="existing", fails=False):
        (folder / "given").write_text(text)
        return helm("template", "hybridge", CHART, "--set", f"certificate.mode={mode}", "--set-file", f"certificate.caBundle={folder}/given", fails=fails)

    encoded = lambda text: base64.b64encode(text.encode()).decode()
    rendered = f"caBundle: {encoded(certificate)}\n"
    for what, text in {"PEM": certificate, "base64": encoded(certificate), "text before it": "Subject: a CA\n" + certificate}.items():
        check(f"a CA as {what} is rendered as its certificate", rendered in given(text))
    for what, text in {"a key": key, "a key in base64": encoded(key), "a key behind the CA": certificate + key, "no certificate": "hello"}.items():
        said = given(text, fails=True)
        check(f"helm refuses {what} as a CA", "certificate.caBundle has" in said and key.splitlines()[1] not in said, said[-300:])
    for mode in "generated", "external", "certManager":
        check(f"helm refuses a CA that {mode} does not use", "mode existing only" in given(certificate, mode, fails=True))


def gone_again(setting, helm):
    helm("uninstall", "hybridge", "-n", SYSTEM, "--wait")
    setting.injector_down()
    left = setting.kubectl("get", "mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings",
                           "-l", "app.kubernetes.io/part-of=hybridge", "-o", "name")
    check("helm uninstall leaves nothing that checks pods", not left.strip(), left)
    status, said = setting.admitted(setting.pod("probe", "after"), as_it_was)
    check("helm uninstall: a labelled pod is created as it is", as_it_was(status, said), said)


def existing(setting, helm):
    """The certificate of `hybridge inject certs`, and installed again after an uninstallation."""
    folder = setting.work / "existing"
    setting.command(setting.hybridge, "inject", "certs", "--dir", folder)
    setting.kubectl("apply", "-f", folder / "secret.yaml")
    ca = base64.b64decode(secret(setting)["ca.crt"]).decode()
    (folder / "ca.crt").write_text(ca)
    helm("install", "hybridge", CHART, "-n", SYSTEM, "--set", "certificate.mode=existing", "--set-file", f"certificate.caBundle={folder}/ca.crt")
    setting.injector_up()
    holds(setting, "helm install again, with a certificate of one's own")
    gone_again(setting, helm)
    setting.kubectl("delete", "-f", folder / "secret.yaml")


def secret(setting):
    return json.loads(setting.kubectl("-n", SYSTEM, "get", "secret", "hybridge-injector-tls", "-o", "json"))["data"]
