"""Runs the functions of a case file whose names begin with `case_`, and reports one line for each."""

import contextlib
import socket
import sys
import time
import traceback


class Skip(Exception):
    """The case cannot run here; the message says why."""


def run_cases(namespace):
    """PASS, FAIL or SKIP for each case on standard output; exits 1 after a failure."""
    cases = {name[5:]: run for name, run in namespace.items() if name.startswith("case_")}
    assert cases, "a file without cases"
    failed = 0
    for name, run in cases.items():
        try:
            run()
            print(f"PASS {name}", flush=True)
        except Skip as why:
            print(f"SKIP {name}: {why}", flush=True)
        except Exception as error:  # noqa: BLE001: whatever it was, it is this case's failure
            failed += 1
            traceback.print_exc()
            print(f"FAIL {name}: {type(error).__name__}: {str(error).splitlines()[:1]}", flush=True)
    sys.stdout.flush()
    sys.exit(1 if failed else 0)


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def eventually(what, holds, seconds=20.0):
    """Polls until `holds` returns something true, and returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = holds()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def listening(port):
    """Whether somebody accepts connections there."""
    with contextlib.closing(socket.socket()) as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
