"""SPIRE's server and agent on loopback, as their documents run them: one server a trust domain, join tokens, the unix attestor."""

import contextlib
import glob
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

from harness import Skip, eventually, free_port
from sidecar import ARTEFACTS

BIN = os.environ.get("SPIRE_BIN", "")
HOST = "/host"

SERVER = """
server {{
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  socket_path = "{dir}/server.sock"
  trust_domain = "{domain}"
  data_dir = "{dir}"
  log_level = "INFO"
  experimental {{
    cache_reload_interval = "1s"
  }}
}}
plugins {{
  DataStore "sql" {{
    plugin_data {{
      database_type = "sqlite3"
      connection_string = "{dir}/server.sqlite3"
    }}
  }}
  NodeAttestor "join_token" {{
    plugin_data {{}}
  }}
  KeyManager "memory" {{
    plugin_data = {{}}
  }}
}}
"""

AGENT = """
agent {{
  data_dir = "{dir}/agent"
  log_level = "INFO"
  server_address = "127.0.0.1"
  server_port = "{port}"
  socket_path = "{dir}/agent.sock"
  trust_bundle_path = "{dir}/bootstrap.pem"
  trust_domain = "{domain}"
  experimental {{
    sync_interval = "1s"
  }}
}}
plugins {{
  NodeAttestor "join_token" {{
    plugin_data {{}}
  }}
  KeyManager "memory" {{
    plugin_data {{}}
  }}
  WorkloadAttestor "unix" {{
    plugin_data {{}}
  }}
}}
"""


class Spire:
    """The server of a trust domain, and on request its agent on this host."""

    def __init__(self, domain):
        if not BIN:
            raise Skip("there is no SPIRE (E2E_SPIRE=1 builds it once, with Go)")
        self.domain = domain
        self.folder = tempfile.TemporaryDirectory(prefix="spire-")
        self.dir = self.folder.name
        self.running = []
        self.agent = None
        self.port = free_port()
        self._start("server", SERVER)
        eventually("the SPIRE server", lambda: self._server("healthcheck", check=False).returncode == 0, 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.wait(timeout=20)
        self.folder.cleanup()

    def _start(self, name, text, *more):
        path = f"{self.dir}/{name}.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.format(dir=self.dir, port=self.port, domain=self.domain))
        with open(os.path.join(ARTEFACTS, f"spire-{name}-{self.domain}.log"), "ab") as log:
            command = [f"{BIN}/spire-{name}", "run", "-config", path, *more]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def _server(self, *words, check=True, stdin=None):
        words = [*words, "-socketPath", f"{self.dir}/server.sock"]
        ran = subprocess.run([f"{BIN}/spire-server", *words], input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert not check or ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
        return ran

    def _json(self, *words):
        return json.loads(self._server(*words, "-output", "json").stdout)

    @property
    def socket(self):
        return f"{self.dir}/agent.sock"

    def start_agent(self):
        """A new agent that knows nothing of one before it."""
        with open(f"{self.dir}/bootstrap.pem", "w", encoding="utf-8") as file:
            file.write(self.bundle())
        shutil.rmtree(f"{self.dir}/agent", ignore_errors=True)
        os.makedirs(f"{self.dir}/agent")
        token = self._json("token", "generate", "-spiffeID", self.id(HOST))["value"]
        self.agent = self._start("agent", AGENT, "-joinToken", token)
        eventually("the SPIRE agent", lambda: os.path.exists(self.socket), 60)

    def stop_agent(self):
        self.agent.terminate()
        self.agent.wait(timeout=20)
        self.running.remove(self.agent)

    def id(self, path):
        return f"spiffe://{self.domain}{path}"

    def register(self, path, *more):
        """An identity for every process of this user; the name of the entry."""
        words = ["entry", "create", "-parentID", self.id(HOST), "-spiffeID", self.id(path), "-selector", f"unix:uid:{os.getuid()}", *more]
        return self._json(*words)["results"][0]["entry"]["id"]

    def forget(self, entry):
        self._server("entry", "delete", "-entryID", entry)

    def bundle(self, form="pem"):
        return self._server("bundle", "show", "-format", form).stdout

    def federate(self, other):
        self._server("bundle", "set", "-format", "spiffe", "-id", other.id(""), stdin=other.bundle("spiffe"))

    def end_federation(self, other):
        self._server("bundle", "delete", "-id", other.id(""), "-mode", "dissociate")

    def prepare_authority(self):
        """A new CA: it is in the bundle from now on, and signs once it is activated."""
        prepared = json.dumps(self._json("localauthority", "x509", "prepare"))
        return re.search(r'"authority_?[iI]d"\s*:\s*"([^"]+)"', prepared).group(1)

    def activate_authority(self, authority):
        """It signs from now on; the old one stays in the bundle."""
        self._server("localauthority", "x509", "activate", "-authorityID", authority)

    def mint(self, path):
        """An SVID from the server itself: certificate and key."""
        folder = tempfile.mkdtemp(dir=self.dir)
        self._server("x509", "mint", "-spiffeID", self.id(path), "-write", folder)
        return f"{folder}/svid.pem", f"{folder}/key.pem"

    def fetch(self, path):
        """The SVID of this ID as the agent gives it to this process: certificate, key and the bundle beside them."""
        folder = tempfile.mkdtemp(dir=self.dir)
        command = [f"{BIN}/spire-agent", "api", "fetch", "x509", "-silent", "-socketPath", self.socket, "-write", folder]

        def found():
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            for certificate in glob.glob(f"{folder}/svid.*.pem") if ran.returncode == 0 else []:
                number = certificate.split(".")[-2]
                if self.id(path) in names(certificate):
                    return certificate, f"{folder}/svid.{number}.key", f"{folder}/bundle.{number}.pem"
            return None

        return eventually(f"an SVID of {path}", found, 60)


def names(certificate):
    """The URI names of a certificate file."""
    command = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", certificate]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"URI:([^\s,]+)", text)


def request(port, bundle, pair=None):
    """One request: its status line and the server's certificate, or the alert that refused it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A SPIFFE peer is known by its ID.
    context.check_hostname = False
    context.load_verify_locations(bundle)
    if pair:
        context.load_cert_chain(*pair)
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as plain:
        try:
            with context.wrap_socket(plain) as stream:
                certificate = stream.getpeercert(binary_form=True)
                stream.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                answer = b""
                while piece := stream.recv(4096):
                    answer += piece
                return answer.split(b"\r\n", 1)[0].decode(), certificate
        except ssl.SSLError as error:
            return error.reason, None
