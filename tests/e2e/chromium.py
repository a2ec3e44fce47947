"""Chromium without a window: what a page becomes in it, and a picture of it."""

import os
import shutil
import subprocess
import tempfile

from harness import Skip

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


def browse(url, picture, *flags):
    """The document after its scripts; `picture` is the file of the screenshot."""
    chromium = shutil.which("chromium")
    if not chromium:
        raise Skip("there is no chromium (Debian package chromium)")
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", *flags]
        page = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True)
        subprocess.run([*command, f"--screenshot={picture}", url], capture_output=True, timeout=120, check=True)
    assert os.path.getsize(picture) > 1000
    return page.stdout
