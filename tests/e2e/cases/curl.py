"""curl and h2load with OpenSSL 3.5: HTTP/1.1 and HTTP/2 over hybrid key exchange."""

import re

from apps import echo
from harness import equal, run_cases
from peers import peer
from sidecar import Sidecar


def curl(sidecar, port, *arguments, files=()):
    command = ["curl", "-sS", "--max-time", "50", "--cacert", "/tmp/ca.crt", "-w", "%{http_version} %{http_code}"]
    code, said = peer([*command, *arguments, f"https://localhost:{port}/"], [sidecar.ca, *files])
    equal(code, 0)
    return said


def case_curl_speaks_both_versions_over_a_hybrid_and_a_classical_port():
    with echo() as app, Sidecar(app) as sidecar:
        for port, group in ((sidecar.hybrid, "X25519MLKEM768"), (sidecar.classical, "X25519")):
            for version, flag in (("1.1", "--http1.1"), ("2", "--http2")):
                said = curl(sidecar, port, flag)
                assert f"group {group}<" in said and said.endswith(f"{version} 200"), said


def case_curl_uploads_a_large_body():
    with echo() as app, Sidecar(app) as sidecar:
        size = 64 << 20
        body = f"{sidecar.dir}/body"
        with open(body, "wb") as file:
            file.truncate(size)
        for flag in ("--http1.1", "--http2"):
            said = curl(sidecar, sidecar.hybrid, flag, "--data-binary", "@/tmp/body", files=[body])
            assert f"body {size}<" in said, said


def case_h2load_gets_an_answer_to_every_request():
    with echo() as app, Sidecar(app) as sidecar:
        load = ["h2load", "-n", "2000", "-c", "8", "-m", "20", "--groups=X25519:X25519MLKEM768"]
        _, said = peer([*load, f"https://127.0.0.1:{sidecar.hybrid}/"])
        requests = re.search(r"requests: .*", said)
        assert requests, said
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in requests.group(), said
        equal(sidecar.metric("hybridge_handshakes_total", listener="hybrid", group="X25519MLKEM768"), 8)
        equal(sidecar.metric("hybridge_requests_total", protocol="http2", code="2xx"), 2000)


run_cases(globals())
