"""Other people's relays at the other end of raw TCP inside TLS: stunnel and nginx's stream module as servers behind an egress and as
clients in front of a listener."""

import os
import socket

from apps import echo
from egress import egress
from harness import Skip, equal, eventually, free_port, run_cases
from servers import ROOT, Servers
from sidecar import Sidecar

HYBRID = "X25519MLKEM768"
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
SIZE = 3 << 20
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % SIZE


def needs(path):
    if ROOT and not os.path.exists(f"{ROOT}{path}"):
        raise Skip(f"the suite of servers has no {path}")


def ask(port, request=REQUEST, body=b""):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as app:
        app.sendall(request + body)
        answer = b""
        while data := app.recv(65536):
            answer += data
        return answer.decode()


def relays(port):
    """Small and large requests, one connection after the other."""
    for _ in range(3):
        answer = ask(port)
        assert answer.startswith("HTTP/1.1 200"), answer[:200]
    assert f"<p>body {SIZE}</p>" in ask(port, POST, bytes(SIZE))


def behind_an_egress(start):
    """How many of four connections were resumed."""
    with echo() as upstream, Sidecar("127.0.0.1:9") as certificates:
        with start(Servers(certificates.dir), upstream.rpartition(":")[2]) as server:
            listen = free_port()
            entry = f"relay=127.0.0.1:{listen}->localhost:{server}"
            with egress(certificates.ca, "--egress", entry) as metric:
                relays(listen)
                name = f'hybridge_handshakes_total{{group="{HYBRID}",kind='
                equal(metric("hybridge_handshakes_total"), 4)
                resumed = metric(name + '"resumed"')
                equal(metric(name + '"full"') + resumed, 4)
                # Both ended every stream in order.
                closed = 'hybridge_connections_total{listener="relay",outcome="closed"'
                eventually("four ends in order", lambda: metric(closed) == 4)
                return resumed


def in_front_of_a_listener(start):
    with echo() as upstream, Sidecar(upstream, options='protocol = "tcp"') as server:
        with start(Servers(server.dir), server.hybrid) as listen:
            relays(listen)

        def count(**labels):
            return server.metric("hybridge_handshakes_total", listener="hybrid", **labels)

        # And one for the look whether the relay listens.
        eventually("four handshakes", lambda: count() >= 4)
        equal(count(group=HYBRID), count())


def case_nginx_stream_behind_an_egress():
    needs("/usr/lib/nginx/modules/ngx_stream_module.so")
    equal(behind_an_egress(lambda servers, port: servers.nginx_stream(f"{HYBRID}:X25519", port)), 3)


def case_stunnel_behind_an_egress():
    needs("/usr/bin/stunnel")
    equal(behind_an_egress(lambda servers, port: servers.stunnel(f"{HYBRID}:X25519", port)), 3)


def case_nginx_stream_in_front_of_a_listener():
    needs("/usr/lib/nginx/modules/ngx_stream_module.so")
    in_front_of_a_listener(lambda servers, port: servers.nginx_stream_client(f"{HYBRID}:X25519", port))


def case_stunnel_in_front_of_a_listener():
    needs("/usr/bin/stunnel")
    in_front_of_a_listener(lambda servers, port: servers.stunnel_client(f"{HYBRID}:X25519", port))


if __name__ == "__main__":
    run_cases(globals())
