"""What every case works with: the cluster, the manifests with certificates made for them, pods to create."""

import base64
import contextlib
import copy
import json
import pathlib
import shutil
import subprocess
import time

from control_plane import ADDRESS
from kube import Kube, ready

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEM = "hybridge-system"
STUB = "registry.example/stub:1"


class Setting:
    """`node` is None where only the API server runs; the injector is a process beside it then."""

    def __init__(self, plane, node, hybridge, helm):
        self.plane, self.node, self.hybridge, self.helm_program = plane, node, str(hybridge), helm
        self.kube = Kube()
        self.work = plane.work
        self.manifests = self.work / "k8s"
        self.injector = None
        shutil.copytree(ROOT / "k8s", self.manifests)
        self.offline = self.manifests / "overlays/offline-certs"
        self.command(self.hybridge, "inject", "certs", "--dir", self.offline)

    # --- Commands

    def command(self, *words, stdin=None, timeout=120):
        done = subprocess.run([str(each) for each in words], input=stdin, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: exit code {done.returncode}: {(done.stderr or done.stdout)[-600:]}")
        return done.stdout

    def kubectl(self, *words, stdin=None, timeout=120):
        """Output of a command that must succeed."""
        done = self.plane.kubectl(*words, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(map(str, words))}: {(done.stderr or done.stdout)[-600:]}")
        return done.stdout

    # --- Installation

    def install(self, overlay=None):
        """`kubectl apply -k`, and an injector that answers."""
        said = self.kubectl("apply", "-k", overlay or self.offline)
        self.injector_up()
        return said

    def uninstall(self, overlay=None):
        self.kubectl("delete", "--ignore-not-found", "-k", overlay or self.offline, timeout=180)
        self.injector_down()

    def injector_up(self, reviewed=True):
        """Waits for the Deployment; without a node runs its container's process and is its endpoint."""
        if self.node:
            self.kubectl("-n", SYSTEM, "rollout", "status", "deployment/hybridge-injector", "--timeout=150s", timeout=160)
        else:
            self._process()
        if reviewed:
            self._reviewed()

    def injector_down(self):
        if self.injector:
            self.injector.kill()
            self.injector.wait()
            self.injector = None

    @contextlib.contextmanager
    def without_webhook(self):
        """The webhook configuration is away, and put back: the policies stand alone."""
        document = json.loads(self.kubectl("get", "mutatingwebhookconfiguration", "hybridge-injector", "-o", "json"))
        self.kubectl("delete", "mutatingwebhookconfiguration", "hybridge-injector")
        try:
            yield
        finally:
            for field in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
                document["metadata"].pop(field, None)
            self.kubectl("apply", "-f", "-", stdin=json.dumps(document))
            self._reviewed()

    def _process(self):
        self.injector_down()
        deployment = json.loads(self.kubectl("-n", SYSTEM, "get", "deployment", "hybridge-injector", "-o", "json"))
        secret = json.loads(self.kubectl("-n", SYSTEM, "get", "secret", "hybridge-injector-tls", "-o", "json"))
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        folder = self.work / "injector-tls"
        folder.mkdir(exist_ok=True)
        for name, value in secret["data"].items():
            (folder / name).write_bytes(base64.b64decode(value))
        environment = {each["name"]: each.get("value", "") for each in container.get("env", [])}
        environment |= {"HYBRIDGE_CERT": f"{folder}/tls.crt", "HYBRIDGE_KEY": f"{folder}/tls.key"}
        if environment.get("HYBRIDGE_NAMESPACE_DEFAULTS"):
            held = json.loads(self.kubectl("-n", SYSTEM, "get", "configmap", "hybridge-injector-namespaces", "-o", "json"))
            file = folder / "defaults.yaml"
            file.write_text(held["data"][file.name])
            environment["HYBRIDGE_NAMESPACE_DEFAULTS"] = str(file)
        self.injector = self.plane.spawn("injector", self.hybridge, *container["args"], env=environment)
        endpoint = {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "injector-process", "namespace": SYSTEM,
                         "labels": {"kubernetes.io/service-name": "hybridge-injector"}},
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": "webhook", "port": 9443, "protocol": "TCP"}],
        }
        # What API servers before 1.31 dial.
        older = {
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "hybridge-injector", "namespace": SYSTEM},
            "subsets": [{"addresses": [{"ip": ADDRESS}], "ports": endpoint["ports"]}],
        }
        for each in (endpoint, older):
            self.kubectl("apply", "-f", "-", stdin=json.dumps(each))

    def _reviewed(self, deadline=30):
        """New admission configuration takes effect a moment after it is written."""
        self.namespace("probe", enabled=True)
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            status, said = self.kube.create(self.pod("probe", "probe"), dry_run=True)
            if status == 201 and any(each["name"] == "hybridge" for each in said["spec"].get("initContainers", [])):
                return
            time.sleep(0.3)
        raise RuntimeError(f"no pod is injected after installation: {status} {json.dumps(said)[:400]}")

    def admitted(self, pod, holds, deadline=20):
        """Status and object of a dry run once `holds(status, object)`: changed admission takes effect a moment later."""
        end = time.monotonic() + deadline
        while True:
            status, said = self.kube.create(pod, dry_run=True)
            if holds(status, said) or time.monotonic() > end:
                return status, said
            time.sleep(0.3)

    # --- Things to create

    def namespace(self, name, enabled=False, **labels):
        if enabled:
            labels["hybridge.dev/injection"] = "enabled"
        thing = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(thing))
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        # Made by a controller in its own time; pods need it at once.
        self.plane.kubectl("create", "-f", "-", stdin=json.dumps(account))
        return name

    def secret(self, namespace, name="llama-tls", host=None):
        """A TLS Secret as the documents make it; the folder holds ca.crt too."""
        folder = self.work / f"tls-{namespace}-{name}-{time.monotonic_ns()}"
        self.command(self.hybridge, "certs", "--dir", folder, "--name", host or f"llama.{namespace}.svc")
        self.put_secret(namespace, name, folder / "tls.crt", folder / "tls.key")
        return folder

    def put_secret(self, namespace, name, certificate, key):
        encoded = lambda file: base64.b64encode(pathlib.Path(file).read_bytes()).decode()
        thing = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                 "metadata": {"name": name, "namespace": namespace},
                 "data": {"tls.crt": encoded(certificate), "tls.key": encoded(key)}}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(thing))

    def pod(self, namespace, name, annotations=(), labels=(), spec=(), **container):
        """A stub model server that vLLM's recipe recognises by its image's name."""
        app = {
            "name": "app", "image": "registry.example/vllm/vllm-openai:stub", "args": ["--model", "/m", "--port", "8000"],
            "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
        } | container
        notes = {"hybridge.dev/tls-secret": "llama-tls"} | dict(annotations)
        return {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": dict(labels),
                         "annotations": {key: value for key, value in notes.items() if value is not None}},
            "spec": {"terminationGracePeriodSeconds": 20, "containers": [copy.deepcopy(app)]} | dict(spec),
        }

    def injected(self, pod, *options):
        """What the offline front makes of a pod."""
        text = self.command(self.hybridge, "inject", "-f", "-", *options, stdin=json.dumps(pod))
        return json.loads(self.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=text))

    def started(self, pod, deadline=90):
        """Creates the pod and returns it when it is ready, or as it is at the deadline."""
        status, said = self.kube.create(pod)
        if status != 201:
            raise RuntimeError(f"pod {pod['metadata']['name']} is not created: {said.get('message', said)}")
        return self.kube.until(pod, ready, deadline)

    def stub(self, *words, timeout=40):
        """The client of the stub program; its exit code and what it said."""
        done = subprocess.run([self.work / "stub", *map(str, words)], capture_output=True, text=True, timeout=timeout)
        return done.returncode, (done.stdout + done.stderr).strip()
