"""Network namespaces as pods on one bridge: each with an address of IPv4 and of IPv6, a sidecar that runs as a user
of its own, and, if asked, the rule that redirects connections to it."""

import contextlib
import ipaddress
import os
import shutil
import subprocess
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from datetime import datetime, timedelta, timezone

from harness import Skip, eventually

BINARY = os.environ["HYBRIDGE_BIN"]
ARTEFACTS = os.environ["ARTEFACTS"]
USER = 1337
ADMIN = 9443
TUNNEL = 15443
EGRESS = 15001

CONFIG = """
workers = 1
[admin]
listen = "127.0.0.1:9443"
[drain]
delay = "0s"
timeout = "2s"
[log]
level = "debug"
[[listener]]
name = "in"
listen = ["{four}:15443", "[{six}]:15443"]
protocol = "tunnel"
tunnel-to = ["{four}", "{six}", "127.0.0.1"]
[listener.tls]
policy = "hybrid-required"
cert = "{dir}/{name}.crt"
key = "{dir}/{name}.key"
client-auth = "required"
client-ca = "{dir}/ca.crt"
allow-uri = ["spiffe://train.example/rank/*"]
[[egress]]
name = "out"
listen = ["127.0.0.1:15001", "[::1]:15001"]
capture = "{capture}"
target = "{{host}}:15443"
tunnel = true
targets-allowed = ["10.77.0.0/24:1-65535", "[fd77::/64]:1-65535", "*.train:1-65535"]
[egress.tls]
policy = "hybrid-required"
ca = "{dir}/ca.crt"
cert = "{dir}/{name}.crt"
key = "{dir}/{name}.key"
peer-ids = ["spiffe://train.example/rank/*"]
[egress.timeouts]
resolve-timeout = "1s"
"""

# What k8s/examples/redirect.yaml has, with this network's addresses.
RULES = """
table inet hybridge {{
  chain output {{
    type nat hook output priority -100; policy accept;
    {exempt}
    ip daddr {{ 127.0.0.0/8, {four} }} return
    ip6 daddr {{ ::1, {six} }} return
    ip daddr 10.77.0.0/24 meta l4proto tcp redirect to :15001
    ip6 daddr fd77::/64 meta l4proto tcp redirect to :15001
  }}
}}
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **more).stdout


def needs(*programs):
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"no {program} here")
    tried = subprocess.run(["ip", "netns", "add", "hybridge-try"], capture_output=True, text=True)
    if tried.returncode:
        raise Skip(f"no network namespace: {tried.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", "hybridge-try"], check=True)


class Authority:
    """Issues certificates that serve both sides of a handshake, each with one URI."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pods")])
        builder = self._certificate(self.name, self.key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def _certificate(self, subject, key):
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def issue(self, uri):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rank")]), key)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(names, critical=False).add_extension(both, critical=False)
        return builder.sign(self.key, hashes.SHA256()), key


def pem(item):
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM)
    return item.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Pod:
    def __init__(self, pods, index):
        self.pods = pods
        self.name = f"rank-{index}"
        self.netns = f"{pods.net}-{index}"
        self.four = str(ipaddress.IPv4Address("10.77.0.1") + index)
        self.six = str(ipaddress.IPv6Address("fd77::1") + index)
        self.sidecar = None
        inside = f"veth{index}"
        run("ip", "netns", "add", self.netns)
        run("ip", "-n", pods.net, "link", "add", inside, "type", "veth", "peer", "name", "eth0", "netns", self.netns)
        run("ip", "-n", pods.net, "link", "set", inside, "master", "br0", "up")
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        run("ip", "-n", self.netns, "addr", "add", f"{self.four}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "addr", "add", f"{self.six}/64", "dev", "eth0", "nodad")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")

    def start(self, *command, **more):
        process = subprocess.Popen(["ip", "netns", "exec", self.netns, *command], stdin=subprocess.DEVNULL, **more)
        self.pods.started.append(process)
        return process

    def run(self, *command):
        return run("ip", "netns", "exec", self.netns, *command)

    def redirect(self, exempt=True):
        """The rule of an init container; without `exempt` it forgets the sidecar's user."""
        rules = RULES.format(four=self.four, six=self.six, exempt=f"meta skuid {USER} return" if exempt else "")
        run("ip", "netns", "exec", self.netns, "nft", "-f", "-", input=rules)

    @contextlib.contextmanager
    def resolver(self):
        """Programs that start in the pod ask its loopback for names (ip-netns(8))."""
        folder = f"/etc/netns/{self.netns}"
        os.makedirs(folder)
        try:
            with open(f"{folder}/resolv.conf", "w", encoding="utf-8") as file:
                file.write("nameserver 127.0.0.1\n")
            yield
        finally:
            shutil.rmtree(folder)

    def proxychains(self, root):
        """The settings of proxychains4, where its library stands."""
        with open(f"{root}/proxychains-{self.name}.conf", "w", encoding="utf-8") as file:
            file.write(
                "strict_chain\nquiet_mode\nlocalnet 127.0.0.0/255.0.0.0\n"
                f"localnet {self.four}/255.255.255.255\n[ProxyList]\nsocks5 127.0.0.1 {EGRESS}\n"
            )

    def serve(self, capture, policy="hybrid-required"):
        path = f"{self.pods.dir}/{self.name}.toml"
        text = CONFIG.format(dir=self.pods.dir, name=self.name, four=self.four, six=self.six, capture=capture)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("hybrid-required", policy))
        self.sidecar_runs("--config", path)

    def sidecar_runs(self, *arguments, **more):
        self.log_path = tempfile.mktemp(prefix=f"{self.name}-", suffix=".log", dir=ARTEFACTS)
        with open(self.log_path, "wb") as log:
            command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
            self.sidecar = self.start(*command, self.pods.binary, "run", *arguments, stderr=log, **more)
        eventually("the sidecar to listen", lambda: "admin port" in self.log() or self.sidecar.poll() is not None)
        assert self.sidecar.poll() is None, self.log()

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def metric(self, name, admin=ADMIN, **labels):
        """The sum of the series of that name that have all the labels."""
        script = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{admin}/metrics').read().decode())"
        total = 0.0
        for line in self.run("python3", "-c", script).splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith(name + "{") and all(f'{key}="{wanted}"' in series for key, wanted in labels.items()):
                total += float(value)
        return total


class Pods:
    """Pods on one bridge, gone with everything in them at the end."""

    def __init__(self, count):
        self.net = f"hyb{os.getpid()}"
        self.folder = tempfile.TemporaryDirectory(prefix="hybridge-pods-")
        self.dir = self.folder.name
        os.chmod(self.dir, 0o755)
        self.started = []
        # The binary may lie where another user cannot go.
        self.binary = shutil.copy(BINARY, f"{self.dir}/hybridge")
        run("ip", "netns", "add", self.net)
        run("ip", "-n", self.net, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.net, "link", "set", "br0", "up")
        self.all = [Pod(self, index) for index in range(count)]
        self.authority = Authority()
        self._write("ca.crt", pem(self.authority.certificate))
        for pod in self.all:
            certificate, key = self.authority.issue(f"spiffe://train.example/rank/{pod.name}")
            self._write(f"{pod.name}.crt", pem(certificate))
            self._write(f"{pod.name}.key", pem(key))
            os.chown(f"{self.dir}/{pod.name}.key", USER, USER)
            os.chmod(f"{self.dir}/{pod.name}.key", 0o600)

    def _write(self, name, content):
        with open(f"{self.dir}/{name}", "wb") as file:
            file.write(content)

    @contextlib.contextmanager
    def captured(self):
        """Every packet between the pods; afterwards `strangers` says which were no part of a tunnel."""
        capture = Capture(self)
        try:
            yield capture
        finally:
            capture.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            process.terminate()
        for process in self.started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
        for netns in [pod.netns for pod in self.all] + [self.net]:
            subprocess.run(["ip", "netns", "del", netns], capture_output=True)
        self.folder.cleanup()


class Capture:
    def __init__(self, pods):
        self.path = tempfile.mktemp(prefix="pods-", suffix=".pcap", dir=ARTEFACTS)
        self.said = tempfile.mktemp(prefix="tcpdump-", suffix=".log", dir=ARTEFACTS)
        with open(self.said, "wb") as said:
            command = ["ip", "netns", "exec", pods.net, "tcpdump", "-Z", "root", "-U", "--immediate-mode", "-i", "br0", "-s", "128", "-w", self.path]
            self.process = subprocess.Popen(command, stderr=said, stdin=subprocess.DEVNULL)
        eventually("tcpdump to listen", lambda: "listening on" in open(self.said, encoding="utf-8").read())

    def end(self):
        time.sleep(0.3)
        self.process.terminate()
        self.process.wait(timeout=20)

    def _read(self, expression):
        return run("tcpdump", "-n", "-r", self.path, expression).splitlines()

    def tunnelled(self):
        return len(self._read(f"tcp port {TUNNEL}"))

    def strangers(self):
        """Packets of no tunnel, without those by which neighbours find one another."""
        return self._read(f"not tcp port {TUNNEL} and not arp and not igmp and not icmp6 and not (ip6 and ip6[6] == 0)")
