"""etcd, API server and controller manager of one Kubernetes, on the loopback of this network namespace."""

import os
import pathlib
import subprocess
import textwrap
import time

ADDRESS = "10.99.0.1"
API = "https://127.0.0.1:6443"
TOKEN = "admin-of-a-cluster-that-ends-with-its-test"
CONTROLLERS = (
    "deployment-controller,replicaset-controller,job-controller,cronjob-controller,statefulset-controller,"
    "daemonset-controller,resourcequota-controller,endpointslice-controller,serviceaccount-controller,"
    "namespace-controller,root-ca-certificate-publisher-controller,garbage-collector-controller,"
    "disruption-controller"
)
# Some clusters (GKE) admit system priority classes only where a quota grants them.
ADMISSION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources:
    - resource: pods
      matchScopes:
      - scopeName: PriorityClass
        operator: In
        values: [system-node-critical, system-cluster-critical]
"""


class ControlPlane:
    """Processes that end with the namespace; logs and state are in `work`."""

    def __init__(self, programs, etcd, work):
        self.programs, self.etcd, self.work = pathlib.Path(programs), etcd, pathlib.Path(work)
        self.pki = self.work / "pki"
        self.kubeconfig = self.work / "kubeconfig"
        self.processes = {}

    def start(self):
        self._keys()
        self._network()
        self.spawn(
            "etcd", self.etcd, f"--data-dir={self.work}/etcd", "--unsafe-no-fsync", "--log-level=error",
            "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
        )
        self.start_api_server()
        self.spawn(
            "kube-controller-manager", self.programs / "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", f"--controllers={CONTROLLERS}",
            f"--root-ca-file={self.pki}/ca.crt", f"--service-account-private-key-file={self.pki}/accounts.key",
            "--bind-address=127.0.0.1", "--concurrent-deployment-syncs=5",
        )

    def start_api_server(self):
        # Aggregator routing: webhooks are dialled by EndpointSlice, so that no kube-proxy is needed.
        self.spawn(
            "kube-apiserver", self.programs / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=127.0.0.1", "--secure-port=6443", f"--advertise-address={ADDRESS}",
            f"--tls-cert-file={self.pki}/api.crt", f"--tls-private-key-file={self.pki}/api.key",
            f"--token-auth-file={self.pki}/tokens.csv", "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.pki}/accounts.pub",
            f"--service-account-signing-key-file={self.pki}/accounts.key",
            "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true",
            "--endpoint-reconciler-type=none", "--enable-aggregator-routing=true",
            "--kubelet-preferred-address-types=InternalIP",
            f"--admission-control-config-file={self.work}/admission.yaml",
        )
        self.wait_ready()

    def wait_ready(self, deadline=180):
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if self.kubectl("get", "--raw", "/readyz").returncode == 0:
                return
            if self.processes["kube-apiserver"].poll() is not None:
                break
            time.sleep(0.5)
        raise RuntimeError(f"the API server does not get ready: {self.log_end('kube-apiserver')}")

    def kubectl(self, *words, stdin=None, timeout=120):
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            ["kubectl", "--request-timeout=60s", *map(str, words)],
            input=stdin, capture_output=True, text=True, timeout=timeout, env=environment,
        )

    def spawn(self, name, *command, **options):
        with open(self.work / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.work, **options,
            )
        return self.processes[name]

    def log_end(self, name, size=800):
        return (self.work / f"{name}.log").read_text(errors="replace")[-size:]

    def _network(self):
        for words in (
            "link set lo up", "link add node0 type bridge", f"addr add {ADDRESS}/24 dev node0",
            "link set node0 up", "route add default dev node0",
        ):
            subprocess.run(["ip", *words.split()], check=True)

    def _keys(self):
        self.pki.mkdir(parents=True)
        run = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=self.pki)
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
            "-subj", "/CN=cluster", "-keyout", "ca.key", "-out", "ca.crt")
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
            "-subj", "/CN=kube-apiserver", "-addext", "subjectAltName=IP:127.0.0.1,DNS:kubernetes.default.svc",
            "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "api.key", "-out", "api.crt")
        run("genrsa", "-out", "accounts.key", 2048)
        run("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        (self.pki / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
        (self.work / "admission.yaml").write_text(ADMISSION)
        self.kubeconfig.write_text(textwrap.dedent(f"""\
            apiVersion: v1
            kind: Config
            clusters: [{{name: test, cluster: {{server: "{API}", certificate-authority: {self.pki}/ca.crt}}}}]
            users: [{{name: admin, user: {{token: {TOKEN}}}}}]
            contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
            current-context: test
            """))
