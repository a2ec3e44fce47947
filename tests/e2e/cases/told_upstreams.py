"""What nginx and HAProxy, behind a listener of raw TCP, read in the header of the PROXY protocol: the group and the client's
identity."""

import tempfile

from authority import Authority
from harness import equal, run_cases
from peers import peer
from servers import Servers
from sidecar import Sidecar

BATCH = "spiffe://example.org/ns/ai/sa/batch"
SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def told(server, by, version, admitted=True):
    """What the server says it was told, of a client at the hybrid and of one at the classical listener."""
    with Sidecar("127.0.0.1:9") as pair, tempfile.TemporaryDirectory() as folder:
        clients = Authority(folder)
        crt, key, _ = clients.issue(BATCH)
        tls = f'client-auth = "optional"\nclient-ca = "{clients.path}"\nallow-uri = ["spiffe://example.org/**"]'
        options = f'protocol = "tcp"\nupstream-proxy-protocol = "{version}"'
        with getattr(Servers(pair.dir), server)(by) as upstream:
            with Sidecar(f"127.0.0.1:{upstream}", options=options, tls=tls) as sidecar:
                for port in (sidecar.hybrid, sidecar.classical):
                    command = ["curl", "-s", "--max-time", "20", "--cacert", "/tmp/ca.crt"]
                    command += ["--resolve", f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/"]
                    if admitted:
                        names = [path.rpartition("/")[2] for path in (crt, key)]
                        command += ["--cert", f"/tmp/{names[0]}", "--key", f"/tmp/{names[1]}"]
                    code, said = peer(command, [sidecar.ca, crt, key])
                    equal(code, 0)
                    yield said.split("|")


NGINX = "|".join(
    f"$proxy_protocol_{name}"
    for name in ("addr", "tlv_ssl_version", "tlv_ssl_0x26", "tlv_ssl_verify", "tlv_authority", "tlv_ssl_cn", "tlv_0xE0", "tlv_ssl_cipher")
)


def case_nginx_is_told_the_group_and_the_identity():
    for group, said in zip(("X25519MLKEM768", "X25519"), told("nginx_behind_us", NGINX, "v2-identity"), strict=True):
        equal(said[:7], ["127.0.0.1", "TLSv1.3", group, "0", "localhost", "batch", BATCH])
        assert said[7] in SUITES, said


def case_nginx_is_told_the_group_alone_of_a_client_without_a_certificate():
    for version in ("v2-tls", "v2-identity"):
        both = told("nginx_behind_us", NGINX, version, admitted=False)
        for group, said in zip(("X25519MLKEM768", "X25519"), both, strict=True):
            equal([*said[:3], *said[4:7]], ["127.0.0.1", "TLSv1.3", group, "localhost", "", ""])
            # An upstream that decides by it must not find a 0.
            assert said[3] != "0", said


def case_haproxy_is_told_the_identity():
    by = "%[src]|%[fc_pp_authority]|%[fc_pp_tlv(0xE0)]"
    for said in told("haproxy_behind_us", by, "v2-identity"):
        equal(said, ["127.0.0.1", "localhost", BATCH])


run_cases(globals())
