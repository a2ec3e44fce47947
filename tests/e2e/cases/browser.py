"""Chromium loads a page through the hybrid port; the page states the group it came by."""

import base64
import hashlib
import os
import ssl
import subprocess

from chromium import browse
from harness import equal, run_cases
from sidecar import ARTEFACTS, Demo

def key_hash(port):
    """Base64 of SHA-256 of the public key, by which Chromium is told to trust this one certificate."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem, capture_output=True, text=True, check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=key.stdout.encode(), capture_output=True, check=True
    )
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


def load(port, screenshot):
    trusted = f"--ignore-certificate-errors-spki-list={key_hash(port)}"
    return browse(f"https://localhost:{port}/", os.path.join(ARTEFACTS, screenshot), trusted)


def case_a_browser_gets_hybrid_and_the_page_says_so():
    with Demo() as demo:
        page = load(demo.hybrid, "hybrid.png")
        assert "X25519MLKEM768" in page, page
        assert demo.metric("hybridge_handshakes_total", listener="hybrid", group="X25519MLKEM768") >= 1
        page = load(demo.classical, "classical.png")
        assert "X25519" in page and "X25519MLKEM768" not in page, page
        equal(demo.metric("hybridge_handshakes_total", listener="classical", group="X25519MLKEM768"), 0)
        assert demo.metric("hybridge_handshakes_total", listener="classical", group="X25519") >= 1


run_cases(globals())
