"""The commands of docs/kubernetes*.md and of the chart's README, as they are written, on this cluster.

Every shell block is run, or carries a comment `<!-- not run: REASON -->` on the line before it.
"""

import os
import re
import shutil
import stat
import subprocess

from kube import sidecar
from report import check, skip
from setting import ROOT

# What a laptop needs and this cluster does not: it runs, the binary is built, the images are loaded.
STANDINS = {
    "bin/kind": "echo not needed here: kind $*",
    "scripts/image": 'mkdir -p target/image && ln -sf "$HYBRIDGE" target/image/hybridge && echo loaded already',
}
PAGES = [*sorted(file.relative_to(ROOT) for file in (ROOT / "docs").glob("kubernetes*.md")), "k8s/chart/README.md"]
BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>.*?) -->\n)?^```sh\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
# What the pages suppose to be there: a workload with its Secret, whose server can listen on every address.
WORKLOAD = """\
hybridge certs --dir certs/llama --name llama.ai.svc
kubectl -n ai create secret tls llama-tls --cert=certs/llama/tls.crt --key=certs/llama/tls.key
sed -e /bind:/d -e 's#image: .*#image: registry.example/vllm/vllm-openai:stub#' -e 's#args: .*#args: [--host, 0.0.0.0, --port, "8000"]#' \\
  k8s/examples/stub.yaml | kubectl -n ai apply -f -
kubectl -n ai rollout status deployment llama --timeout=120s
"""
INSTALL, UNINSTALL = "docs/kubernetes-install.md", "docs/kubernetes-uninstall.md"


def blocks(page, heading=None):
    """The shell blocks of a page, or below one heading of it, that are to be run."""
    text = (ROOT / page).read_text()
    if heading:
        found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
        text = found[2] if found else ""
    return [each["text"] for each in BLOCK.finditer(text) if not each["reason"]]


class Tree:
    """A checkout with what the commands read, and what was run in it."""

    def __init__(self, setting, name):
        self.setting, self.folder, self.name, self.done = setting, setting.work / name, name, []
        shutil.copytree(ROOT / "k8s", self.folder / "k8s")
        for file, line in STANDINS.items():
            (self.folder / file).parent.mkdir()
            (self.folder / file).write_text(f"#!/bin/sh\n{line}\n")
            (self.folder / file).chmod(stat.S_IRWXU)
        (self.folder / "bin/hybridge").symlink_to(setting.hybridge)
        (self.folder / "bin/helm").symlink_to(setting.helm_program)
        home = self.folder / "helm"
        self.environment = {
            **os.environ, "KUBECONFIG": str(setting.plane.kubeconfig), "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "HYBRIDGE": setting.hybridge, "HELM_CACHE_HOME": str(home), "HELM_CONFIG_HOME": str(home), "HELM_DATA_HOME": str(home),
        }

    def run(self, what, commands, timeout=240):
        """Runs them as one script that ends at the first failure; its output."""
        if not check(f"{what}: there are commands", commands):
            return ""
        script = "set -euxo pipefail\n" + "".join(commands)
        script = ["timeout", str(timeout), "bash", "-c", script]
        done = subprocess.run(script, capture_output=True, text=True, env=self.environment, cwd=self.folder)
        said = done.stdout + done.stderr
        with open(self.setting.work / f"{self.name}.log", "a") as log:
            log.write(f"== {what}\n{said}")
        check(f"{what}: every command succeeds", done.returncode == 0, said[-600:])
        self.done += commands
        return done.stdout


def laptop(setting):
    """The first section: from nothing to a response over X25519MLKEM768."""
    if not setting.node:
        return skip("the five minutes on a laptop", "no kubelet in this run")
    away(setting)
    tree = Tree(setting, "laptop")
    said = tree.run("the five minutes on a laptop", blocks("docs/kubernetes.md", "Five minutes on a laptop"))
    check("the client's response says X25519MLKEM768", '"x-tls-key-exchange":"X25519MLKEM768"' in said, said[-300:])
    check("the sidecar's metrics say X25519MLKEM768", "hybridge_handshakes_total" in said, said[-300:])
    away(setting)
    setting.plane.kubectl("delete", "--ignore-not-found", "-k", tree.folder / "k8s/overlays/offline-certs", timeout=180)


def run(setting):
    """The other pages: installation and uninstallation by Helm and by kustomize, offline injection, the chart's README."""
    left = [(page, each) for page in PAGES for each in blocks(page)]
    check("the pages have commands", len(left) >= 10, len(left))
    tree = Tree(setting, "documents")
    tree.done += blocks("docs/kubernetes.md", "Five minutes on a laptop")
    tree.run("offline injection", blocks("docs/kubernetes-offline.md"))
    if setting.node:
        tree.run("clients with certificates", blocks("docs/kubernetes-clients.md"))
        certified(setting, tree.folder / "certs")
        away(setting)
        shutil.rmtree(tree.folder / "certs")
    if not setting.node:
        return skip("installation as the documents say", "no kubelet in this run")
    for how in ("Helm", "kustomize"):
        away(setting)
        tree.run(f"{how}, installation", blocks(INSTALL, how))
        tree.run(f"{how}, a workload", [WORKLOAD])
        check(f"{how}: the workload has the sidecar", all(map(sidecar, pods(setting))), pods(setting))
        tree.run(f"{how}, check and status", blocks(INSTALL, "Check an installation"))
        if how == "kustomize":
            tree.run("the webhook's certificate", blocks(INSTALL, "The webhook's certificate"))
        tree.run(f"{how}, uninstallation", blocks(UNINSTALL, f"Installed by {how}"))
        tree.run(f"{how}, the workload afterwards", ["kubectl -n ai rollout status deployment llama --timeout=120s\n"])
        check(f"{how}: uninstalled, the workload runs without the sidecar", pods(setting) and not any(map(sidecar, pods(setting))), pods(setting))
        shutil.rmtree(tree.folder / "certs")
    tree.run("a template injected offline", ["hybridge inject -f k8s/examples/stub.yaml | kubectl -n ai apply -f -\n"])
    tree.run("the sidecar of a template taken out", blocks(UNINSTALL, "Injected offline"))
    template = setting.kubectl("-n", "ai", "get", "deployment", "llama", "-o", "yaml")
    check("the template has no sidecar any more", "hybridge-tls" not in template and "initContainers" not in template, template)
    away(setting)
    tree.run("the chart's README", blocks("k8s/chart/README.md"))
    away(setting, "hybridge-system")
    untried = [f"{page}: {text[:80]}" for page, text in left if text not in tree.done]
    check("every command of the pages was tried, or says why not", not untried, untried)


def certified(setting, folder):
    """The two requests of the page on clients with certificates."""
    found = pods(setting)
    if not check("the server that asks its clients has the sidecar", found and all(map(sidecar, found)), found):
        return
    words = ["get", "--cacert", folder / "llama/ca.crt", "--resolve", f"llama.ai.svc:8000:{found[0]['status'].get('podIP')}"]
    client = folder / "clients" / "client-spiffe+example.org+ns+ai+sa+batch"
    url, pair = "https://llama.ai.svc:8000/v1/models", [f"{client}.crt", f"{client}.key"]
    code, said = setting.stub(*words, url)
    check("the page's request without a certificate is refused", code != 0 and "certificate required" in said, said)
    code, said = setting.stub(*words, "--cert", pair[0], "--key", pair[1], url)
    check("the page's request with one gets 200", code == 0 and said.startswith("X25519MLKEM768 200"), said)


def away(setting, name="ai"):
    setting.plane.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=90s", timeout=100)


def pods(setting):
    """Of the workload, without those that are being deleted."""
    listed = setting.kube.get("/api/v1/namespaces/ai/pods?labelSelector=app.kubernetes.io/name%3Dllama").get("items", [])
    return [each for each in listed if "deletionTimestamp" not in each["metadata"]]
