"""h2spec, another implementation of RFC 9113 and RFC 7541, against a listener: all of its cases."""

import os
import re
import subprocess

from apps import echo
from harness import Skip, equal, run_cases
from sidecar import Sidecar

# 2.2.1 has so many, and passes none over.
CASES = 146


def case_every_case_passes():
    program = os.environ.get("H2SPEC")
    if not program:
        raise Skip("there is no h2spec (needs Go and its module proxy)")
    with echo() as app, Sidecar(app) as sidecar:
        for listener, port in (("hybrid", sidecar.hybrid), ("classical", sidecar.classical)):
            ran = subprocess.run(
                [program, "--tls", "--insecure", "--strict", "--host", "127.0.0.1", "--port", str(port), "--timeout", "5"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=200,
                check=False,
            )
            total = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", ran.stdout)
            assert total, ran.stdout[-2000:]
            equal((listener, tuple(map(int, total.groups()))), (listener, (CASES, CASES, 0, 0)))
        equal(sidecar.metric("hybridge_panics_total"), 0)


run_cases(globals())
