"""The binary under test: started with throw-away certificates, read through its admin port, ended."""

import os
import re
import signal
import ssl
import subprocess
import tempfile
import urllib.request

from harness import eventually

BINARY = os.environ["HYBRIDGE_BIN"]
ARTEFACTS = os.environ["ARTEFACTS"]

LISTENER = """
[[listener]]
name = "{name}"
listen = "127.0.0.1:0"
upstream = "{upstream}"
{options}
[listener.tls]
policy = "{policy}"
cert = "{dir}/tls.crt"
key = "{dir}/tls.key"
tickets = {tickets}
{tls}
"""


class Sidecar:
    """`hybridge run` with a hybrid and a classical listener in front of one upstream."""

    def __init__(self, upstream, options="", tickets=1, tls=""):
        self.folder = tempfile.TemporaryDirectory(prefix="hybridge-e2e-")
        self.dir = self.folder.name
        self.ca = f"{self.dir}/ca.crt"
        subprocess.run(
            [BINARY, "certs", "--dir", self.dir, "--name", "localhost", "--name", "127.0.0.1"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        config = '[admin]\nlisten = "127.0.0.1:0"\n[drain]\ndelay = "0s"\ntimeout = "5s"\n'
        for name, policy in (("hybrid", "hybrid-preferred"), ("classical", "classical-only")):
            config += LISTENER.format(
                name=name, upstream=upstream, options=options, policy=policy, tickets=tickets, dir=self.dir, tls=tls
            )
        path = f"{self.dir}/hybridge.toml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self._start(["run", "--log-level", "debug", "--config", path])

    def _start(self, arguments, stdout=None):
        self.log_path = tempfile.mktemp(prefix="sidecar-", suffix=".log", dir=ARTEFACTS)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([BINARY, *arguments], stdout=stdout, stderr=log, stdin=subprocess.DEVNULL)
        eventually("the sidecar to listen", lambda: "admin port" in self.log() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        self.hybrid = self._port(r"listening listener=hybrid")
        self.classical = self._port(r"listening listener=classical")
        self.admin = self._port(r"admin port")

    def _port(self, line):
        return int(re.search(line + r"\"? addresses=\[127\.0\.0\.1:(\d+)", self.log()).group(1))

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        """The sum of the series of that name that have all the labels."""
        total = 0.0
        for line in self.page("/metrics").splitlines():
            series, _, value = line.rpartition(" ")
            if re.match(name + r"(\{|$)", series) and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return total

    def trust(self, *alpn):
        """A TLS context of Python's own OpenSSL that trusts the throw-away authority."""
        context = ssl.create_default_context(cafile=self.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def cleanup(self):
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.cleanup()
        if failure is None:
            assert code == 0, f"the sidecar ended with {code}:\n{self.log()[-2000:]}"


class Demo(Sidecar):
    """`hybridge demo`, read from what it prints."""

    def __init__(self):
        anywhere = "127.0.0.1:0"
        command = ["demo", "--listen", anywhere, "--classical-listen", anywhere, "--admin", anywhere]
        self.guide_path = tempfile.mktemp(prefix="demo-", suffix=".txt", dir=ARTEFACTS)
        with open(self.guide_path, "wb") as guide:
            self._start(command, stdout=guide)
        guide = eventually("the demo's guide", self.guide)
        self.ca = re.search(r"^CA: (\S+)$", guide, re.MULTILINE).group(1)

    def guide(self):
        with open(self.guide_path, encoding="utf-8") as guide:
            return guide.read()

    def cleanup(self):
        """The demo keeps its files itself."""
