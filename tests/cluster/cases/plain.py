"""`--plain-container`, which is for clusters before 1.29: the policies refuse it here and say so; without them, as
the documents say for such a cluster, it runs."""

from kube import ready, sidecar
from report import check
from setting import SYSTEM

OLD = ["HYBRIDGE_KUBERNETES_VERSION=1.28", "HYBRIDGE_PLAIN_CONTAINER=true"]
BINDINGS = [f"hybridge-sidecar-{which}" for which in ("namespace", "object", "enforced")]


def run(setting):
    setting.namespace("plain", enabled=True)
    folder = setting.secret("plain")
    pod = setting.pod("plain", "plain")
    offline = setting.injected(pod, "--kubernetes-version", "1.28", "--plain-container")
    status, said = setting.kube.create(offline, dry_run=True)
    check("injected offline as a plain container: the webhook refuses it by name", status != 201 and "named" in said.get("message", ""), said)
    environment(setting, OLD)
    try:
        status, said = setting.admitted(pod, lambda _, said: "--plain-container" in said.get("message", ""))
        check("the policy refuses a plain container and names the flag", status in (403, 422) and "--plain-container" in said.get("message", ""), said)
        setting.kubectl("delete", "validatingadmissionpolicybinding", *BINDINGS)
        status, said = setting.admitted(pod, lambda status, _: status == 201)
        names = [each["name"] for each in said.get("spec", {}).get("containers", [])]
        check("without the policies it is a container beside the app", status == 201 and names == ["app", "hybridge"] and not sidecar(said), names or said)
        if setting.node and status == 201:
            seen = setting.started(pod)
            check("it gets ready", ready(seen), seen.get("status"))
            code, answer = setting.stub("get", "--cacert", folder / "ca.crt", "--name", "llama.plain.svc", f"https://{seen['status'].get('podIP')}:8000/v1/models")
            check("its port speaks X25519MLKEM768", code == 0 and answer.startswith("X25519MLKEM768 200"), answer)
            setting.kube.delete(pod, 1)
    finally:
        setting.kubectl("apply", "-k", setting.offline)
        environment(setting, [f"{each.partition('=')[0]}-" for each in OLD])
        setting._reviewed()


def environment(setting, words):
    setting.kubectl("-n", SYSTEM, "set", "env", "deployment/hybridge-injector", *words)
    setting.injector_up(reviewed=False)
