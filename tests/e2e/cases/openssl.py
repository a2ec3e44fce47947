"""OpenSSL's own client: what it says was negotiated, and how many bytes it says that took."""

import re

from apps import echo
from harness import equal, eventually, run_cases
from peers import peer
from sidecar import Demo, Sidecar


def s_client(sidecar, port, *arguments):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost"]
    code, said = peer([*command, "-CAfile", "/tmp/ca.crt", "-verify_return_error", *arguments], [sidecar.ca])
    return code, said


def group(said):
    """A classical group is stated as the kind of the peer's temporary key."""
    found = re.search(r"Negotiated TLS1\.3 group: (\S+)|Peer Temp Key: (?:ECDH, )?([^,\s]+)", said)
    assert found, said
    return {"prime256v1": "secp256r1"}.get(found.group(2), found.group(1) or found.group(2))


def case_a_client_that_lists_the_classical_group_first_gets_hybrid_or_classical_by_port():
    with echo() as app, Sidecar(app) as sidecar:
        both = ("-groups", "X25519:X25519MLKEM768")
        code, said = s_client(sidecar, sidecar.hybrid, *both)
        equal((code, group(said)), (0, "X25519MLKEM768"))
        code, said = s_client(sidecar, sidecar.classical, *both)
        equal((code, group(said)), (0, "X25519"))
        equal(sidecar.metric("hybridge_handshakes_total", listener="hybrid", group="X25519MLKEM768", kind="hrr"), 1)
        equal(sidecar.metric("hybridge_handshakes_total", listener="classical", group="X25519"), 1)


def case_the_demo_is_hybrid_on_one_port_and_classical_on_the_other():
    with Demo() as demo:
        for port, wanted in ((demo.hybrid, "X25519MLKEM768"), (demo.classical, "X25519")):
            code, said = s_client(demo, port, "-groups", "X25519:X25519MLKEM768")
            equal((code, group(said)), (0, wanted))


def case_every_group_is_negotiated():
    with echo() as app, Sidecar(app) as sidecar:
        for wanted in ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "X25519", "secp256r1", "secp384r1"):
            code, said = s_client(sidecar, sidecar.hybrid, "-groups", wanted)
            equal(code, 0)
            equal(group(said).lower(), wanted.lower())
            equal(sidecar.metric("hybridge_handshakes_total", listener="hybrid", group=wanted), 1)


def case_the_bytes_of_a_handshake_are_those_that_openssl_counts():
    with echo() as app, Sidecar(app, tickets=0) as sidecar:
        for wanted, retry in (("X25519MLKEM768", False), ("X25519", False), ("X25519:X25519MLKEM768", True)):
            kind = "hrr" if retry else "full"
            labels = {"listener": "hybrid", "group": wanted.split(":")[-1], "kind": kind}
            _, said = s_client(sidecar, sidecar.hybrid, "-groups", wanted)
            read, written = map(int, re.search(r"has read (\d+) bytes and written (\d+) bytes", said).groups())
            eventually("the handshake to be counted", lambda: sidecar.metric("hybridge_handshake_bytes_count", **labels))
            equal(sidecar.metric("hybridge_handshake_bytes_sum", direction="out", **labels), read)
            equal(sidecar.metric("hybridge_handshake_bytes_sum", direction="in", **labels), written)


def case_a_tls12_client_is_refused_and_counted():
    with echo() as app, Sidecar(app) as sidecar:
        code, said = s_client(sidecar, sidecar.hybrid, "-tls1_2")
        assert code != 0 and "alert protocol version" in said, said
        equal(sidecar.metric("hybridge_handshakes_total"), 0)
        equal(sidecar.metric("hybridge_handshake_failures_total", listener="hybrid"), 1)


run_cases(globals())
