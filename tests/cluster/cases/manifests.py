"""Every kustomization under k8s/, by the API server's own strict validation (a dry run)."""

import re

from report import check, skip


def run(setting):
    served = kinds(setting)
    folders = sorted(file.parent for file in setting.manifests.rglob("kustomization.yaml"))
    for folder in folders:
        name = folder.relative_to(setting.manifests)
        documents = [each for each in setting.kubectl("kustomize", folder).split("\n---\n") if kind(each)[0] != "builtin"]
        known = [each for each in documents if kind(each) in served]
        missing = sorted({kind(each)[1] for each in documents if kind(each) not in served})
        if missing:
            skip(f"k8s/{name}: {', '.join(missing)}", "their CustomResourceDefinitions are not here")
        if not known:
            continue
        for namespace in set(re.findall(r"^  namespace: (\S+)", "\n".join(known), re.MULTILINE)):
            setting.namespace(namespace)
        done = setting.plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin="\n---\n".join(known))
        check(f"k8s/{name}: {len(known)} objects are valid", done.returncode == 0, done.stderr)


def kind(document):
    field = lambda name: re.search(rf"^{name}: (\S+)", document, re.MULTILINE)[1]
    return field("apiVersion"), field("kind")


def kinds(setting):
    """Version and kind of everything that the API server knows."""
    lines = setting.kubectl("api-resources", "--no-headers").splitlines()
    return {(words[-3], words[-1]) for words in map(str.split, lines)}
