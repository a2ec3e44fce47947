"""`hybridge check --profile` beside the strict schema of CycloneDX."""

import json
import os
import subprocess
import tempfile

from harness import Skip, equal, run_cases

BINARY = os.environ["HYBRIDGE_BIN"]

CONFIGURATION = """[[listener]]
listen = ["127.0.0.1:8443", "[::1]:8443"]
upstream = "127.0.0.1:8000"
[listener.tls]
policy = "pq-required"
groups = ["MLKEM1024"]
cipher-suites = ["TLS_AES_256_GCM_SHA384"]
tickets = 0
cert = "{folder}/tls.crt"
key = "{folder}/tls.key"
"""


def case_the_bill_of_a_configuration_is_valid():
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise Skip("cyclonedx-python-lib is not installed") from None
    strict = JsonStrictValidator(SchemaVersion.V1_7)
    for algorithm, code in (("ml-dsa-87", 0), ("ecdsa-p256", 1)):
        with tempfile.TemporaryDirectory(prefix="hybridge-e2e-") as folder:
            certs = [BINARY, "certs", "--dir", folder, "--algorithm", algorithm]
            subprocess.run(certs, check=True, stdout=subprocess.DEVNULL)
            path = f"{folder}/hybridge.toml"
            with open(path, "w", encoding="utf-8") as file:
                file.write(CONFIGURATION.format(folder=folder))
            command = [BINARY, "check", path, "--profile", "cnsa-2.0", "--format", "cyclonedx"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        equal((algorithm, done.returncode), (algorithm, code))
        equal(strict.validate_str(done.stdout), None)
        assert strict.validate_str(done.stdout.replace('"kem"', '"kemm"')) is not None
        properties = json.loads(done.stdout)["services"][0]["properties"]
        found = {each["name"].rsplit(":", 1)[1]: each["value"].split(":")[0] for each in properties}
        equal(found["key-exchange"], "pass")
        equal(found["server-key"], "fail" if code else "pass")


run_cases(globals())
