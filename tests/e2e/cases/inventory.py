"""`hybridge scan` and `hybridge ctl` beside other people's instruments: OpenSSL's client group by group, the strict
schemas of CycloneDX, and another implementation of JA4."""

import contextlib
import json
import os
import socket
import socketserver
import ssl
import subprocess
import threading

from apps import echo
from harness import Skip, equal, eventually, run_cases
from openssl_groups import GROUPS
from peers import peer
from sidecar import BINARY, Sidecar


@contextlib.contextmanager
def recorded(behind):
    """A port in front of another, and the first bytes of each client that comes through it."""
    hellos = []

    class Relay(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", behind)) as upstream:
                first = self.request.recv(65536)
                hellos.append(first)
                upstream.sendall(first)
                pump = threading.Thread(target=forward, args=(upstream, self.request), daemon=True)
                pump.start()
                forward(self.request, upstream)
                pump.join(10)

    def forward(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        # After a reset too.
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], hellos
    finally:
        server.shutdown()
        server.server_close()


def scan(*arguments):
    command = [os.environ["HYBRIDGE_BIN"], "scan", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def case_a_group_is_listed_if_and_only_if_openssl_negotiates_it():
    with echo() as app, Sidecar(app) as sidecar:
        for port in (sidecar.hybrid, sidecar.classical):
            _, said = scan(f"127.0.0.1:{port}", "--format", "json")
            listed = {group["name"] for group in json.loads(said)["endpoints"][0]["groups"]}
            for name, theirs in GROUPS.items():
                command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-groups", theirs]
                code, _ = peer(command, [])
                equal((name, code == 0), (name, name in listed))


def case_the_bill_is_valid_and_the_check_can_fail():
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise Skip("cyclonedx-python-lib is not installed") from None
    with echo() as app, Sidecar(app) as sidecar:
        endpoints = [f"127.0.0.1:{port}" for port in (sidecar.hybrid, sidecar.classical)]
        for name, version in (("1.6", SchemaVersion.V1_6), ("1.7", SchemaVersion.V1_7)):
            _, said = scan(*endpoints, "--format", "cbom", "--cbom-version", name)
            strict = JsonStrictValidator(version)
            equal(strict.validate_str(said), None)
            assert strict.validate_str(said.replace('"combiner"', '"combined"')) is not None
            names = {component["name"] for component in json.loads(said)["components"]}
            assert {"X25519MLKEM768", "MLKEM768", "X25519", "TLS 1.3"} <= names, names
            command = [BINARY, "ctl", "cbom", "--cbom-version", name, "--admin", f"127.0.0.1:{sidecar.admin}"]
            said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
            equal(strict.validate_str(said), None)
            equal([service["name"] for service in json.loads(said)["services"]], ["hybrid", "classical"])


def case_a_fingerprint_is_that_of_another_implementation():
    try:
        from ja4plus import JA4Fingerprinter
        from scapy.all import IP, TCP, Raw
    except ImportError:
        raise Skip("ja4plus is not installed") from None

    def fingerprint(hello):
        """By ja4plus, whose input is a packet."""
        packet = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5000, dport=443, flags="PA", seq=1) / Raw(hello)
        return JA4Fingerprinter().process_packet(IP(bytes(packet)))

    with echo() as app, Sidecar(app) as sidecar:
        with recorded(sidecar.classical) as (port, hellos):
            address = f"127.0.0.1:{port}"
            plain = ssl.create_default_context()
            plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
            for alpn in ([], ["h2"], ["http/1.1"]):
                if alpn:
                    plain.set_alpn_protocols(alpn)
                with socket.create_connection(("127.0.0.1", port)) as raw, plain.wrap_socket(raw, server_hostname="localhost"):
                    pass
            clients = [
                ["openssl", "s_client", "-connect", address, "-groups", "X25519"],
                ["openssl", "s_client", "-connect", address, "-groups", "P-256", "-tls1_3", "-noservername"],
                ["openssl", "s_client", "-connect", address, "-groups", "P-256", "-tls1_2"],
                ["openssl", "s_client", "-connect", address, "-groups", "X25519", "-sigalgs", "ECDSA+SHA256"],
                ["curl", "-sk", "--curves", "X25519", f"https://{address}/"],
            ]
            for command in clients:
                subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
            theirs = {fingerprint(hello) for hello in hellos}
        command = [BINARY, "ctl", "census", "--listener", "classical", "--json", "--admin", f"127.0.0.1:{sidecar.admin}"]

        def ours():
            page = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout)
            return {client["ja4"] for client in page["listeners"][0]["census"]["clients"]}

        assert len(theirs) > 4 and None not in theirs, theirs
        eventually("the last handshake to be counted", lambda: len(ours()) >= len(theirs))
        equal(ours(), theirs)


run_cases(globals())
