"""The first section of docs/kubernetes.md: its commands, as they are written, on this cluster."""

import os
import re
import shutil
import stat
import subprocess

from report import check, skip
from setting import ROOT

# What a laptop needs and this cluster does not: it runs, and the images are loaded.
STANDINS = {"bin/kind": "echo not needed here: kind $*", "scripts/image": "echo loaded already: target/image/hybridge.tar"}


def blocks(section):
    """The shell blocks below one heading, in order."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    found = re.search(rf"^#+ {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL) if found else []


def run(setting):
    if not setting.node:
        return skip("the commands of the documents", "no kubelet in this run")
    # What wants a GPU stays Pending here.
    commands = [each for each in blocks("Five minutes on a laptop") if "vllm.yaml" not in each]
    if not check("docs/kubernetes.md has commands for a laptop", commands):
        return
    if not any("port-forward" in each for each in commands):
        return skip("the commands of the documents", "they need a GPU: no path for a laptop is written yet")
    tree = setting.work / "checkout"
    shutil.copytree(ROOT / "k8s", tree / "k8s")
    for name, line in STANDINS.items():
        (tree / name).parent.mkdir()
        (tree / name).write_text(f"#!/bin/sh\n{line}\n")
        (tree / name).chmod(stat.S_IRWXU)
    (tree / "bin/hybridge").symlink_to(setting.hybridge)
    environment = {**os.environ, "KUBECONFIG": str(setting.plane.kubeconfig), "PATH": f"{tree}/bin:{os.environ['PATH']}"}
    script = "set -euxo pipefail\n" + "".join(commands)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=400, env=environment, cwd=tree)
    said = done.stdout + done.stderr
    (setting.work / "laptop.log").write_text(said)
    check("every command of the five minutes succeeds", done.returncode == 0, said[-600:])
    check("the client's response says X25519MLKEM768", '"x-tls-key-exchange":"X25519MLKEM768"' in done.stdout, done.stdout[-300:])
    check("the sidecar's metrics say X25519MLKEM768", "hybridge_handshakes_total" in done.stdout, done.stdout[-300:])
    setting.plane.kubectl("delete", "namespace", "ai", "--ignore-not-found", "--wait=false")
    setting.plane.kubectl("delete", "--ignore-not-found", "-k", tree / "k8s/overlays/offline-certs", timeout=180)
