#!/usr/bin/env python3
"""Runs the cases on one cluster; tests/cluster/run starts this in namespaces that end with it."""

import argparse
import pathlib
import shutil
import subprocess
import sys

import image
import report
from cases import admission, chart, clients, documents, egress, install, manifests, plain, policy_only, running, sealed, values
from control_plane import ControlPlane
from node import PAUSE, Node
from setting import ROOT, Setting

# In this order: each leaves the cluster as the next expects it.
CASES = {
    "manifests": manifests.run, "install": install.run, "admission": admission.run, "running": running.run,
    "clients": clients.run, "egress": egress.run, "sealed": sealed.run, "plain": plain.run, "again": install.again,
    "policy-only": policy_only.run, "laptop": documents.laptop, "helm": chart.run,
    "values": values.run, "documents": documents.run,
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", required=True, help="folder of kube-apiserver and its like")
    parser.add_argument("--tools", required=True, help="folder of etcd and helm")
    parser.add_argument("--debian", help="folder of containerd, runc and the CNI plugins; without it no node")
    parser.add_argument("--hybridge", required=True)
    parser.add_argument("--image", type=pathlib.Path, help="the image of a release, in place of one that is made of --hybridge")
    parser.add_argument("--stub", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--cgroup", default="")
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    return parser.parse_args()


def images(options):
    """Archives of everything that a pod of the cases is made of, each with what it is called beside its own name."""
    names = {
        "hybridge": (sidecar_names(), options.hybridge, ["/hybridge"], ["run"]),
        "stub": (["registry.example/vllm/vllm-openai:stub", "registry.example/stub:1"], options.stub, ["/stub"], []),
        "pause": ([PAUSE], options.stub, ["/stub", "pause"], []),
        # Takes the options of curl that the documents use.
        "curl": (["docker.io/curlimages/curl:8.16.0"], options.stub, ["/stub", "get"], []),
    }
    if options.image:
        names.pop("hybridge")
        yield options.image, sidecar_names()
    for name, (tags, program, entrypoint, words) in names.items():
        image.write(options.work / f"{name}.tar", tags, image.build(program, entrypoint, words))
        yield options.work / f"{name}.tar", []


def sidecar_names():
    """The image that the manifests name as they are, and what the cases call the next release and a mirror."""
    rendered = subprocess.run(["kubectl", "kustomize", ROOT / "k8s/injector"], check=True, capture_output=True, text=True)
    named = next(line.split("image: ")[1] for line in rendered.stdout.splitlines() if line.strip().startswith("image: "))
    repository = named.rpartition(":")[0]
    full = lambda name: name if "/" in name else f"docker.io/library/{name}"
    return [full(named), full(f"{repository}:next"), "mirror.example:5000/pq/hybridge:moved"]


def main():
    options = arguments()
    shutil.copy(options.stub, options.work / "stub")
    plane = ControlPlane(options.programs, f"{options.tools}/etcd", options.work)
    plane.start()
    version = plane.kubectl("version", "-o", "json").stdout
    print("cluster: " + next(l.strip() for l in version.split("serverVersion")[1].splitlines() if "gitVersion" in l), flush=True)
    node = None
    if options.debian:
        node = Node(plane, options.debian, list(images(options)), options.cgroup)
        node.start()
    setting = Setting(plane, node, options.hybridge, f"{options.tools}/helm")
    for name in options.cases or CASES:
        report.case(name, CASES[name], setting)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
