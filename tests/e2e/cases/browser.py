"""Chromium loads a page through the hybrid port; the page states the group it came by."""

import base64
import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile

from harness import Skip, equal, run_cases
from sidecar import ARTEFACTS, Demo

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=5000",
]


def key_hash(port):
    """Base64 of SHA-256 of the public key, by which Chromium is told to trust this one certificate."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem, capture_output=True, text=True, check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=key.stdout.encode(), capture_output=True, check=True
    )
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


def browse(port, screenshot):
    chromium = shutil.which("chromium")
    if not chromium:
        raise Skip("there is no chromium (Debian package chromium)")
    trusted = f"--ignore-certificate-errors-spki-list={key_hash(port)}"
    picture = f"--screenshot={os.path.join(ARTEFACTS, screenshot)}"
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", trusted]
        url = f"https://localhost:{port}/"
        page = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True)
        subprocess.run([*command, picture, url], capture_output=True, timeout=120, check=True)
    assert os.path.getsize(os.path.join(ARTEFACTS, screenshot)) > 1000
    return page.stdout


def case_a_browser_gets_hybrid_and_the_page_says_so():
    with Demo() as demo:
        page = browse(demo.hybrid, "hybrid.png")
        assert "X25519MLKEM768" in page, page
        assert demo.metric("hybridge_handshakes_total", listener="hybrid", group="X25519MLKEM768") >= 1
        page = browse(demo.classical, "classical.png")
        assert "X25519" in page and "X25519MLKEM768" not in page, page
        equal(demo.metric("hybridge_handshakes_total", listener="classical", group="X25519MLKEM768"), 0)
        assert demo.metric("hybridge_handshakes_total", listener="classical", group="X25519") >= 1


run_cases(globals())
