"""Apps that know nothing of TLS, redirected by nftables into a tunnel from pod to pod."""

from harness import equal, eventually, run_cases
from pods import EGRESS, Pods, needs

SIZE = 1_000_000

# Sends back what comes, at every address of the pod.
ECHO = """
import socket, threading
listener = socket.create_server(("::", {port}), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
def serve(stream):
    while piece := stream.recv(65536):
        stream.sendall(piece)
    stream.shutdown(socket.SHUT_WR)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""

# Connects, sends, and says what came back, or how it failed.
CLIENT = """
import socket, sys, threading
data = bytes(i % 251 for i in range({size}))
try:
    stream = socket.create_connection(("{host}", {port}), timeout=20)
    failed = []
    def send():
        try:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The kernel tells of a reset once: to the first that asks.
            failed.append(error)
    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    received = b""
    while piece := stream.recv(65536):
        received += piece
    sending.join(5)
    if failed:
        raise failed[0]
    print("same" if received == data else f"other: {{len(received)}} bytes")
except (ConnectionResetError, BrokenPipeError):
    print("reset")
"""


# A DNS server that says nothing.
SILENT = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    server.recv(512)
"""

# Asks for a name by SOCKS5, and says the code of the reply.
SOCKS = """
import socket
stream = socket.create_connection(("127.0.0.1", {port}), timeout=20)
name = b"rank-1.train"
stream.sendall(bytes([5, 1, 0]) + bytes([5, 1, 0, 3, len(name)]) + name + (29500).to_bytes(2, "big"))
received = b""
while len(received) < 12:
    received += stream.recv(64)
print(received[3])
"""


def client(pod, host, port, size=SIZE):
    return pod.run("python3", "-c", CLIENT.format(host=host, port=port, size=size)).strip()


def echo(pod, port):
    process = pod.start("python3", "-u", "-c", ECHO.format(port=port), stdout=-1)
    process.stdout.readline()


def case_an_app_that_knows_nothing_is_redirected_by_ipv4_and_ipv6():
    needs("nft", "tcpdump", "setpriv")
    with Pods(2) as pods:
        here, there = pods.all
        for pod in pods.all:
            pod.serve("redirect")
            pod.redirect()
        echo(there, 29500)
        with pods.captured() as capture:
            equal(client(here, there.four, 29500), "same")
            equal(client(here, there.six, 29500), "same")
            # A port where nobody listens looks like one, to an app that retries.
            equal(client(here, there.four, 29501), "reset")
            # The sidecar's own port is no target.
            equal(client(here, there.four, 9443), "reset")
        equal(capture.strangers(), [])
        assert capture.tunnelled() > 100, capture.tunnelled()
        name = "hybridge_handshakes_total"
        equal(here.metric(name, listener="out", group="X25519MLKEM768"), here.metric(name, listener="out"))
        equal(here.metric("hybridge_connections_total", listener="out", outcome="closed"), 2.0)
        equal(here.metric("hybridge_upstream_failures_total", reason="tunnel_refused"), 2.0)
        equal(there.metric("hybridge_upstream_failures_total", reason="target_refused"), 1.0)
        assert "tunnel opened" in there.log() and "spiffe://train.example/rank/rank-0" in there.log(), there.log()


def case_without_the_rule_the_log_says_so():
    needs("nft", "setpriv")
    with Pods(1) as pods:
        pod = pods.all[0]
        pod.serve("redirect")
        equal(client(pod, "127.0.0.1", EGRESS), "reset")
        eventually("the remedy in the log", lambda: "is the nft rule in place?" in pod.log())


def case_a_rule_that_forgets_the_sidecar_makes_no_circle():
    needs("nft", "setpriv")
    with Pods(2) as pods:
        here, there = pods.all
        there.serve("redirect")
        here.serve("redirect")
        here.redirect(exempt=False)
        equal(client(here, there.four, 29500), "reset")
        eventually("the remedy in the log", lambda: "meta skuid" in here.log())
        assert here.metric("hybridge_upstream_failures_total", reason="loop") >= 1.0
        # It ends by itself: nothing is left open.
        eventually("nothing to be open", lambda: here.metric("hybridge_connections_open") == 0.0)


def case_a_resolver_that_says_nothing_is_named():
    needs("setpriv")
    with Pods(1) as pods:
        pod = pods.all[0]
        with pod.resolver():
            silent = pod.start("python3", "-u", "-c", SILENT, stdout=-1)
            silent.stdout.readline()
            pod.serve("socks5")
            equal(pod.run("python3", "-c", SOCKS.format(port=EGRESS)).strip(), "4")
        equal(pod.metric("hybridge_upstream_failures_total", listener="out", reason="resolve_timeout"), 1.0)
        assert "did not resolve within resolve-timeout" in pod.log(), pod.log()


if __name__ == "__main__":
    run_cases(globals())
