"""Every line of a scan against other people's servers, beside what OpenSSL's client says of the same server."""

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time

from apps import echo
from harness import equal, free_port, run_cases
from openssl_groups import GROUPS
from peers import peer
from servers import Servers, started
from sidecar import BINARY, Sidecar

HYBRID = list(GROUPS)[:3]
CLASSICAL = [name for name in GROUPS if "MLKEM" not in name]
SETS = (
    "X25519MLKEM768:X25519",
    "X25519:X25519MLKEM768",
    "X25519MLKEM768 / X25519:secp256r1",
    "SecP256r1MLKEM768:secp256r1",
    "SecP384r1MLKEM1024:secp384r1",
    "MLKEM1024:MLKEM768:MLKEM512",
    "X25519:secp256r1:secp384r1",
    "X448:secp521r1:ffdhe2048:ffdhe3072",
)


def s_client(port, *arguments):
    """Whether a handshake is made, the group and the leaf's SHA-256."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments]
    code, said = peer(command, [], 20)
    group = re.search(r"Negotiated TLS1\.3 group: (\S+)", said)
    leaf = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", said, re.DOTALL)
    digest = leaf and hashlib.sha256(base64.b64decode(leaf.group(1))).hexdigest()
    signed = re.search(r"Peer signature type: (\S+)", said)
    return code == 0, group and group.group(1), digest, signed and signed.group(1)


def theirs(port):
    """What OpenSSL's client finds, in the words of a scan."""
    accepted = {name for name, group in GROUPS.items() if s_client(port, "-tls1_3", "-groups", group)[0]}
    hybrid = accepted & set(HYBRID)
    classical = accepted & set(CLASSICAL)
    held = None
    share = next((name for name in ("X25519", "secp256r1") if name in classical), None)
    if hybrid and share:
        others = [GROUPS[name] for name in classical if name != share] + [GROUPS[name] for name in hybrid]
        listed = ":".join([f"*{GROUPS[share]}", *others])
        held = s_client(port, "-tls1_3", "-groups", listed)[1] in hybrid
    every = ":".join(GROUPS.values())
    found = [s_client(port, version, "-groups", every)[0] for version in ("-tls1_3", "-tls1_2")]
    _, _, leaf, signed = s_client(port, "-groups", every)
    return {
        "groups": accepted,
        "present": bool(hybrid),
        "held": held,
        "versions": [name for name, works in zip(("1.3", "1.2"), found) if works],
        "leaf": leaf,
        "signed": signed,
    }


def ours(port):
    command = [BINARY, "scan", f"127.0.0.1:{port}", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    endpoint = json.loads(done.stdout)["endpoints"][0]
    assert "unreachable" not in endpoint, endpoint
    chain = endpoint["certificates"]["chain"]
    return endpoint, {
        # Those that only one of the two can ask for, such as brainpool, are left out.
        "groups": {group["name"] for group in endpoint["groups"]} & set(GROUPS),
        "present": endpoint["hybrid"]["present"],
        "held": endpoint["hybrid"]["held"],
        "versions": [version for version in endpoint["versions"] if version in ("1.3", "1.2")],
        "leaf": chain[0]["sha256"] if chain else None,
        "signed": endpoint["certificates"]["scheme"],
    }


def same(what, port):
    endpoint, mine = ours(port)
    other = theirs(port)
    if not mine["leaf"]:
        # No handshake can be made with these by a scan, and it says so.
        assert not other["groups"] & {*HYBRID, "MLKEM1024", "X25519", "secp256r1", "secp384r1"}, other
        assert any("no handshake can be made here" in note for note in endpoint["notes"]), endpoint
        for name in ("leaf", "signed"):
            del mine[name], other[name]
    if other["held"] is None:
        del other["held"], mine["held"]
    equal((what, mine), (what, other))
    enforced = other["versions"] == ["1.3"] and other["groups"] <= {name for name in GROUPS if "MLKEM" in name}
    equal((what, endpoint["hybrid"]["enforced"]), (what, enforced))
    return endpoint


def certificate():
    folder = tempfile.TemporaryDirectory(prefix="hybridge-e2e-")
    command = [BINARY, "certs", "--dir", folder.name, "--name", "localhost", "--name", "127.0.0.1"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def case_openssl_with_eight_sets_of_groups():
    with certificate() as folder:
        for groups in SETS:
            with Servers(folder).openssl(groups) as port:
                same(groups, port)


def case_openssl_of_this_machine():
    with certificate() as folder, Servers(folder).old_openssl("X25519:P-256:P-384") as port:
        same("the machine's openssl", port)


def case_nginx():
    with certificate() as folder:
        for groups in ("X25519MLKEM768:X25519", "X25519:prime256v1"):
            with Servers(folder).nginx(groups) as port:
                same(f"nginx {groups}", port)


def case_haproxy_with_the_classical_group_first_has_hybrid_and_does_not_prefer_it():
    with certificate() as folder, Servers(folder).haproxy("X25519:X25519MLKEM768") as port:
        hybrid = same("haproxy", port)["hybrid"]
        equal((hybrid["present"], hybrid["preferred"], hybrid["held"]), (True, False, False))


def case_caddy_with_and_without_hybrid():
    with certificate() as folder:
        for godebug, present in (("tlsmlkem=1", True), ("tlsmlkem=0", False)):
            with Servers(folder).caddy(godebug) as port:
                equal((godebug, same(f"caddy {godebug}", port)["hybrid"]["present"]), (godebug, present))


def case_a_go_server():
    with certificate() as folder:
        for more, present in (((), True), (("classical",), False)):
            with Servers(folder).go(*more) as port:
                equal(same(f"go {more}", port)["hybrid"]["present"], present)


def case_the_policies_of_hybridge():
    with echo() as app, Sidecar(app) as sidecar, certificate() as folder:
        same("hybrid-preferred", sidecar.hybrid)
        same("classical-only", sidecar.classical)
        for policy in ("hybrid-required", "pq-required"):
            port = free_port()
            command = [BINARY, "run", "--admin", "none", "--listen", f"127.0.0.1:{port}", "--upstream", "127.0.0.1:9"]
            pair = ["--cert", f"{folder}/tls.crt", "--key", f"{folder}/tls.key", "--drain-delay", "0s"]
            with started([*command, *pair, "--policy", policy], port):
                equal(same(policy, port)["hybrid"]["enforced"], True)


def case_two_certificates_of_one_name():
    with certificate() as folder:
        servers = Servers(folder)
        with servers.folder() as (_, inside):
            new = ["openssl", "req", "-x509", "-newkey", "mldsa65", "-nodes", "-subj", "/CN=localhost"]
            command = ["chroot", os.environ["SERVER_ROOT"], *new, "-keyout", f"{inside}/pq.key", "-out", f"{inside}/pq.crt"]
            subprocess.run(command, check=True, capture_output=True)
            second = ["-dcert", f"{inside}/pq.crt", "-dkey", f"{inside}/pq.key"]
            with servers.openssl("X25519MLKEM768:X25519", *second) as port:
                seen, mine = ours(port)
                seen = seen["certificates"]
                every = ["-groups", "X25519"]
                _, _, pq, signed = s_client(port, *every, "-sigalgs", "mldsa65")
                equal((seen["ml_dsa"]["sha256"], signed), (pq, "mldsa65"))
                _, _, classical, _ = s_client(port, *every, "-sigalgs", "ECDSA+SHA256")
                leaf = seen["classical"]["sha256"] if seen["classical"] else mine["leaf"]
                equal(leaf, classical)


def case_a_thousand_endpoints_are_scanned_in_a_minute_or_two():
    with echo() as app, certificate() as folder:
        port = free_port()
        command = [BINARY, "run", "--admin", "none", "--listen", f"0.0.0.0:{port}", "--upstream", f"{app}"]
        pair = ["--cert", f"{folder}/tls.crt", "--key", f"{folder}/tls.key", "--drain-delay", "0s"]
        with started([*command, *pair], port), tempfile.NamedTemporaryFile("w") as targets:
            for number in range(1000):
                targets.write(f"127.2.{number // 250}.{1 + number % 250}:{port}\n")
            targets.flush()
            begun = time.monotonic()
            scan = [BINARY, "scan", "--targets", targets.name, "--parallel", "64", "--format", "json"]
            done = subprocess.run(scan, capture_output=True, text=True, timeout=240, check=False)
            took = time.monotonic() - begun
        report = json.loads(done.stdout)
        equal((done.returncode, report["totals"]["examined"], report["totals"]["held"]), (0, 1000, 1000))
        print(f"1,000 endpoints in {took:.1f} s", flush=True)


run_cases(globals())
