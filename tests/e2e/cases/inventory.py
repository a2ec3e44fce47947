"""`hybridge scan` beside other people's instruments: OpenSSL's client group by group, and the strict schemas of
CycloneDX."""

import json
import os
import subprocess

from apps import echo
from harness import Skip, equal, run_cases
from peers import peer
from sidecar import Sidecar

GROUPS = {
    "X25519MLKEM768": "X25519MLKEM768",
    "SecP256r1MLKEM768": "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024": "SecP384r1MLKEM1024",
    "MLKEM512": "MLKEM512",
    "MLKEM768": "MLKEM768",
    "MLKEM1024": "MLKEM1024",
    "x25519": "X25519",
    "secp256r1": "secp256r1",
    "x448": "X448",
    "secp384r1": "secp384r1",
    "secp521r1": "secp521r1",
    "ffdhe2048": "ffdhe2048",
    "ffdhe3072": "ffdhe3072",
}


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
            assert {"X25519MLKEM768", "MLKEM768", "x25519", "TLS 1.3"} <= names, names


run_cases(globals())
