"""A client's sidecar: an egress, and what it counts."""

import contextlib
import signal
import subprocess
import tempfile
import urllib.request

from harness import eventually, free_port, listening
from sidecar import ARTEFACTS, BINARY


@contextlib.contextmanager
def running(command, ready, **more):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **more)
    try:
        eventually(f"{command[0]} to listen", lambda: listening(ready) or process.poll() is not None, 60)
        assert process.poll() is None, command
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@contextlib.contextmanager
def egress(ca, *arguments):
    """A client's sidecar; its metrics by name."""
    admin = free_port()
    command = [BINARY, "run", "--admin", f"127.0.0.1:{admin}", "--drain-delay", "0s", "--egress-ca", ca]
    command += arguments if "--egress-policy" in arguments else ["--egress-policy", "hybrid-required", *arguments]
    log = tempfile.mktemp(prefix="egress-", suffix=".log", dir=ARTEFACTS)

    def metric(start):
        text = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10).read().decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))

    with open(log, "wb") as errors, running(command, admin, stderr=errors):
        yield metric
