"""An egress against other people's servers: the group that both sides name, resumption, a second hello, and servers that a policy
refuses."""

import contextlib
import socket

from egress import egress
from harness import equal, eventually, free_port, run_cases
from servers import Servers
from sidecar import Sidecar

HYBRID = "X25519MLKEM768"
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def ask(port):
    """What a client without TLS gets; nothing where its connection is reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as app:
        try:
            app.sendall(REQUEST)
            answer = b""
            while data := app.recv(65536):
                answer += data
            return answer.decode(errors="replace")
        except ConnectionResetError:
            return ""


@contextlib.contextmanager
def to(certificates, server, policy="hybrid-required"):
    listen = free_port()
    entry = f"server=127.0.0.1:{listen}->localhost:{server}"
    with egress(certificates.ca, "--egress", entry, "--egress-policy", policy) as metric:
        yield listen, metric


def handshakes(metric, group, kind):
    return metric(f'hybridge_handshakes_total{{group="{group}",kind="{kind}"')


def serves(certificates, server, group=HYBRID, first="full", said=None):
    """Three connections after one another: the first as expected, the others resumed."""
    with to(certificates, server) as (port, metric):
        for _ in range(3):
            answer = ask(port)
            assert answer.startswith("HTTP/1."), answer[:200]
            assert said is None or said in answer, answer
        equal(handshakes(metric, group, first), 1)
        equal(metric("hybridge_handshakes_total"), 3)
        return handshakes(metric, group, "resumed")


def case_nginx():
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).nginx(f"{HYBRID}:X25519") as server:
        equal(serves(certificates, server), 2)


def case_haproxy():
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).haproxy(f"{HYBRID}:X25519") as server:
        equal(serves(certificates, server), 2)


def case_caddy():
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).caddy("tlsmlkem=1") as server:
        equal(serves(certificates, server), 2)


def case_go():
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).go() as server:
        equal(serves(certificates, server), 2)


def case_openssl_names_the_same_group():
    said = f"Shared groups: {HYBRID}\n"
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).openssl(f"{HYBRID}:X25519", "-www") as server:
        equal(serves(certificates, server, said=said), 2)


def case_openssl_asks_for_another_share():
    group = "SecP256r1MLKEM768"
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).openssl(group, "-www") as server:
        serves(certificates, server, group, "hrr", f"Shared groups: {group}\n")


def refused(certificates, server, reason):
    with to(certificates, server) as (port, metric):
        equal(ask(port), "")
        failure = f'hybridge_handshake_failures_total{{listener="server",reason="{reason}"'
        eventually(f"the failure {reason}", lambda: metric(failure) == 1)
        equal(metric("hybridge_handshakes_total"), 0)


def case_a_classical_server_is_refused_or_counted():
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).openssl("X25519", "-www") as server:
        refused(certificates, server, "no_common_group")
        with to(certificates, server, "hybrid-preferred") as (port, metric):
            assert ask(port).startswith("HTTP/1."), "hybrid-preferred admits it"
            equal(handshakes(metric, "X25519", "full"), 1)


def case_one_classical_answer_does_not_make_the_next_classical():
    port = free_port()
    with Sidecar("127.0.0.1:9") as certificates, to(certificates, port, "hybrid-preferred") as (listen, metric):
        servers = Servers(certificates.dir)
        with servers.openssl("X25519", "-www", port=port):
            assert ask(listen).startswith("HTTP/1."), "hybrid-preferred admits it"
        equal(handshakes(metric, "X25519", "full"), 1)
        with servers.openssl(f"{HYBRID}:X25519", "-www", port=port):
            assert ask(listen).startswith("HTTP/1."), "the same server, updated"
        # No second hello either: the share was there.
        equal(handshakes(metric, HYBRID, "full"), 1)


def case_a_server_without_tls_1_3_is_refused():
    with Sidecar("127.0.0.1:9") as certificates, Servers(certificates.dir).openssl("X25519", "-www", "-tls1_2") as server:
        refused(certificates, server, "tls_version")


if __name__ == "__main__":
    run_cases(globals())
