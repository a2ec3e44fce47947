"""Command-line clients of a Debian suite with OpenSSL 3.5 or newer, run by chroot from its folder."""

import os
import shutil
import subprocess

from harness import Skip

ROOT = os.environ.get("PEER_ROOT", "")


def peer(arguments, files=(), seconds=60):
    """Runs a command of the suite; `files` are put where it sees them, under their own base name."""
    if not ROOT:
        raise Skip("there is no Debian suite with OpenSSL 3.5 (needs root and debootstrap)")
    copies = [shutil.copy(file, os.path.join(ROOT, "tmp", os.path.basename(file))) for file in files]
    try:
        ran = subprocess.run(
            ["chroot", ROOT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    finally:
        for copy in copies:
            os.remove(copy)
    return ran.returncode, ran.stdout
