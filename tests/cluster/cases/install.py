"""Installation by kustomize: once, once more, another image and back, everything away and back again."""

import re

from kube import as_it_was, sidecar
from report import check
from setting import SYSTEM

# A user's own overlay: the injector's image by `images`, which sidecars and policies must follow.
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../overlays/offline-certs]
images: [{{name: {name}, newName: {new_name}, newTag: {tag}}}]
transformers: [../image]
"""


def run(setting):
    limited(setting)
    setting.install()
    generations = specified(setting)
    setting.kubectl("apply", "-k", setting.offline)
    check("a second apply changes no object", specified(setting) == generations, (generations, specified(setting)))
    holds(setting, "installed")
    if not setting.node:
        return
    images(setting)


def again(setting):
    """Uninstalled and installed again, twice: pods are still created, and still checked."""
    setting.namespace("probe", enabled=True)
    for round_number in (1, 2):
        setting.uninstall()
        status, said = setting.admitted(setting.pod("probe", "after-uninstall"), as_it_was)
        check(f"uninstalled, round {round_number}: a labelled pod is created as it is", as_it_was(status, said), said)
        setting.install()
        holds(setting, f"installed again, round {round_number}")
    setting.uninstall()


def holds(setting, when, alone=True):
    """Injected where asked; with `alone` the policy refuses where the webhook is away, which is put back."""
    setting.namespace("probe", enabled=True)
    status, said = setting.kube.create(setting.pod("probe", "plain"), dry_run=True)
    check(f"{when}: a pod is injected", status == 201 and sidecar(said), said)
    foreign = setting.pod("probe", "forged", labels={"hybridge.dev/inject": "disabled"})
    status, said = setting.kube.create(foreign, dry_run=True)
    check(f"{when}: a pod opts out", status == 201 and not sidecar(said), said)
    if not alone:
        return
    with setting.without_webhook():
        status, said = setting.admitted(setting.pod("probe", "unprotected"), lambda status, _: status in (403, 422))
        check(f"{when}: without its webhook the policy refuses the pod", status in (403, 422), said)
        check(f"{when}: the refusal names the policy", "hybridge-sidecar" in said.get("message", ""), said)


def specified(setting):
    """The generation of everything installed: it counts changes of a specification."""
    kinds = "deployments,poddisruptionbudgets,networkpolicies,mutatingwebhookconfigurations,validatingadmissionpolicies"
    return setting.kubectl("-n", SYSTEM, "get", kinds, "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}\n{end}")


def limited(setting):
    """That the API server limits system priority classes, or the quota of the manifests would prove nothing."""
    setting.namespace("limited")
    pod = setting.pod("limited", "critical", spec={"priorityClassName": "system-cluster-critical"})
    status, said = setting.kube.create(pod, dry_run=True)
    check("a system priority class needs a quota here", status != 201 and "insufficient quota" in said["message"], said)


def images(setting):
    """Upgrade by tag, move to another registry, and back; running pods keep their sidecar."""
    before = current(setting)
    name, _, tag = before.rpartition(":")
    for what, new_name, new_tag in (("another tag", name, "next"), ("another registry", "mirror.example:5000/pq/hybridge", "moved"),
                                    ("the old image", name, tag)):
        overlay = setting.manifests / "of-a-user"
        overlay.mkdir(exist_ok=True)
        (overlay / "kustomization.yaml").write_text(OVERLAY.format(name=name, new_name=new_name, tag=new_tag))
        setting.install(overlay)
        wanted = f"{new_name}:{new_tag}"
        status, said = setting.kube.create(setting.pod("probe", "image"), dry_run=True)
        got = (sidecar(said) or {}).get("image", said)
        check(f"{what}: injector and sidecar have {wanted}", (current(setting), got) == (wanted, wanted), (current(setting), got))
        holds(setting, what)
        forged = setting.pod("probe", "forged", spec={"initContainers": [{"name": "hybridge", "image": "evil.example/hybridge:1",
                                                                         "args": ["run"], "restartPolicy": "Always"}]})
        status, said = setting.kube.create(forged, dry_run=True)
        repaired = status == 201 and sidecar(said)["image"] == wanted
        check(f"{what}: a foreign sidecar is replaced or refused", repaired or status in (403, 422), said)


def current(setting):
    """The image that the injector runs."""
    found = setting.kubectl("-n", SYSTEM, "get", "deployment", "hybridge-injector", "-o",
                            "jsonpath={.spec.template.spec.containers[0].image}")
    return re.sub(r"\s", "", found)
