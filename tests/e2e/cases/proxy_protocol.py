"""The PROXY protocol beside nginx and HAProxy: nginx prints what hybridge says of a client, hybridge forwards whom HAProxy names."""

import contextlib
import json
import subprocess
import tempfile

from harness import equal, run_cases
from peers import peer
from servers import Servers
from sidecar import BINARY, Sidecar

CLIENT = "spiffe://example.org/ns/ai/sa/batch"
# Any address of loopback may be a source.
FROM = "127.0.0.5"

TELLING = """
daemon off; pid @DIR@/nginx.pid; error_log stderr; user root; events { }
http { access_log off; server { listen 127.0.0.1:@PORT@ proxy_protocol; location / { return 200
  '{"client": "$proxy_protocol_addr", "verify": "$proxy_protocol_tlv_ssl_verify", "group": "$proxy_protocol_tlv_ssl_0x26",
    "version": "$proxy_protocol_tlv_ssl_version", "cipher": "$proxy_protocol_tlv_ssl_cipher",
    "name": "$proxy_protocol_tlv_authority", "id": "$proxy_protocol_tlv_0xE0"}'; } } }
"""

BALANCER = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 9s
  timeout server 9s
frontend tcp
  bind 127.0.0.1:@PORT@
  default_backend sidecar
backend sidecar
  server one 127.0.0.1:{port} {how}
"""

LISTENER = """
[[listener]]
name = "{name}"
listen = "127.0.0.1:0"
protocol = "tcp"
upstream = "{upstream}"
upstream-proxy-protocol = "v2-identity"
{options}
[listener.tls]
cert = "{dir}/tls.crt"
key = "{dir}/tls.key"
client-auth = "required"
client-ca = "{dir}/ca.crt"
allow-uri = ["spiffe://example.org/ns/ai/**"]
"""


class Tcp(Sidecar):
    """`hybridge run` for raw TCP: `hybrid` for clients, `classical` for a balancer at 127.0.0.1."""

    def __init__(self, folder, upstream):
        self.folder, self.dir, self.ca = folder, folder.name, f"{folder.name}/ca.crt"
        config = '[admin]\nlisten = "127.0.0.1:0"\n[drain]\ndelay = "0s"\ntimeout = "5s"\n'
        for name, options in (("hybrid", ""), ("classical", 'proxy-protocol-from = ["127.0.0.1/32"]')):
            config += LISTENER.format(name=name, upstream=upstream, options=options, dir=self.dir)
        path = f"{self.dir}/hybridge.toml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self._start(["run", "--log-level", "debug", "--config", path])


@contextlib.contextmanager
def in_front_of_nginx():
    """The sidecar, the servers, and the files of a client."""
    folder = tempfile.TemporaryDirectory(prefix="hybridge-e2e-")
    certs = [BINARY, "certs", "--dir", folder.name]
    subprocess.run([*certs, "--name", "localhost"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*certs, "--client", CLIENT], check=True, stdout=subprocess.DEVNULL)
    servers = Servers(folder.name)
    with servers.configured("nginx.conf", TELLING, ["nginx", "-c"]) as port, Tcp(folder, f"127.0.0.1:{port}") as sidecar:
        yield sidecar, servers


def told(sidecar, port):
    """What nginx was told of a client with a certificate and hybrid groups (curl with OpenSSL 3.5)."""
    pair = "client-" + CLIENT.replace("://", "+").replace("/", "+")
    files = [sidecar.ca, f"{sidecar.dir}/{pair}.crt", f"{sidecar.dir}/{pair}.key"]
    command = ["curl", "-sS", "--max-time", "20", "--interface", FROM, "--cacert", "/tmp/ca.crt"]
    command += ["--cert", f"/tmp/{pair}.crt", "--key", f"/tmp/{pair}.key", "--resolve", f"localhost:{port}:127.0.0.1"]
    code, text = peer([*command, f"https://localhost:{port}/"], files)
    equal((code, text[:1]), (0, "{"))
    return json.loads(text)


EXPECTED = {
    "client": FROM,
    "verify": "0",
    "group": "X25519MLKEM768",
    "version": "TLSv1.3",
    "cipher": "TLS_AES_128_GCM_SHA256",
    "name": "localhost",
    "id": CLIENT,
}


def case_nginx_prints_group_and_identity():
    with in_front_of_nginx() as (sidecar, _):
        equal(told(sidecar, sidecar.hybrid), EXPECTED)


def case_the_client_that_haproxy_names_reaches_nginx():
    with in_front_of_nginx() as (sidecar, servers):
        for how in ("send-proxy", "send-proxy-v2"):
            text = BALANCER.format(port=sidecar.classical, how=how)
            with servers.configured("haproxy.cfg", text, ["haproxy", "-f"]) as port:
                equal(told(sidecar, port), EXPECTED)
        assert f"client={FROM}" in sidecar.log(), sidecar.log()[-2000:]


run_cases(globals())
