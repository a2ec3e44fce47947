"""Runs the pages, each in a fresh directory with a link to what a checkout has; tests/docs/run starts this in namespaces of its own."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from pages import ROOT, all_pages, blocks, elsewhere

HYBRIDGE, LOADTEST = os.environ["HYBRIDGE_BIN"], os.environ["LOADTEST_BIN"]
# What is built already, what this machine has not, and who is root anyway.
STANDINS = {
    "cargo": f"""case "$*" in
  "build --release" | "build --release -p hybridge-loadtest") mkdir -p target/release; ln -sf {HYBRIDGE} target/release/hybridge; ln -sf {LOADTEST} target/release/hybridge-loadtest ;;
  "run --release -- "*) shift 3; cargo build --release; exec target/release/hybridge "$@" ;;
  *) echo "no stand-in for cargo $*" >&2; exit 1 ;;
esac""",
    "sudo": 'exec "$@"',
    "vllm": f"exec {HYBRIDGE} demo --stub 127.0.0.1:8000",
}
counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}


def check(text, holds, detail=""):
    counts["PASS" if holds else "FAIL"] += 1
    print(f"PASS docs: {text}" if holds else f"FAIL docs: {text} ({str(detail)[-800:]})", flush=True)
    return holds


def descendants(pid):
    """The processes below one, by /proc, which shows only those of this namespace."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, ahead = [], [pid]
    while ahead:
        ahead += (below := children.get(ahead.pop(), []))
        found += below
    return found


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


class Place:
    """A fresh directory, its shell and what runs in the background."""

    def __init__(self, installed):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridge-docs."))
        for name in ("loadtest", "docs", "config"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / "bin").mkdir()
        for name, line in STANDINS.items():
            (self.folder / "bin" / name).write_text(f"#!/bin/bash\n{line}\n")
            (self.folder / "bin" / name).chmod(0o755)
        if installed:
            (self.folder / "bin/hybridge").symlink_to(HYBRIDGE)
            (self.folder / "bin/hybridge-loadtest").symlink_to(LOADTEST)
        self.environment = {**os.environ, "PATH": f"{self.folder}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.folder)}
        for name in ("CARGO_TARGET_DIR", "HYBRIDGE_BIN", "LOADTEST_BIN"):
            self.environment.pop(name, None)
        self.running = []

    def run(self, what, script, timeout=60):
        log = self.folder / f"log-{len(self.running)}"
        process = self.start(log, f"set -euxo pipefail\n{script}")
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        check(f"{what}: every command succeeds", process.poll() == 0, f"exit code {process.poll()}: {log.read_text()}")
        return log.read_text()

    def start(self, log, script):
        with open(log, "wb") as out:
            process = subprocess.Popen(["bash", "-c", script], stdout=out, stderr=out, env=self.environment, cwd=self.folder, start_new_session=True)
        self.running.append(process)
        return process

    def begin(self, what, script, until, timeout=30):
        """Starts what keeps its terminal, and waits until it says `until`."""
        log = self.folder / f"log-{len(self.running)}"
        process = self.start(log, script)
        end = time.monotonic() + timeout
        while time.monotonic() < end and process.poll() is None:
            if re.search(until, log.read_text()):
                break
            time.sleep(0.1)
        check(f"{what}: it says {until}", re.search(until, log.read_text()), log.read_text())
        return process, log.read_text()

    def interrupt(self, what, shell, command):
        """Ctrl-C: what runs in the foreground gets SIGINT, then the shell goes on."""
        # A shell with one command becomes that.
        for pid in [shell.pid, *descendants(shell.pid)]:
            if re.search(command, command_line(pid)):
                os.kill(pid, signal.SIGINT)
        try:
            shell.wait(30)
        except subprocess.TimeoutExpired:
            pass
        check(f"{what}: Ctrl-C ends it", shell.poll() == 0, shell.poll())

    def end(self):
        for process in self.running:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)


def readme(page, place, script):
    demo, openssl, server, client = script
    shell, said = place.begin(f"{page}: the demo", demo, "Stop with Ctrl-C")
    printed = re.findall(r"^ {5}(\S+ probe .*|curl .*)", said, re.MULTILINE)
    check(f"{page}: the demo prints commands", len(printed) >= 2, said)
    said = [place.run(f"{page}: the demo's `{command[:60]}…`", command) for command in printed]
    check(f"{page}: a probe of the demo negotiates X25519MLKEM768", "X25519MLKEM768" in said[0], said[0])
    check(f"{page}: each chunk names a group", "x-tls-key-exchange" in "".join(said), said)
    # The page says that an older OpenSSL prints nothing.
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.split()[1]
    knows = tuple(map(int, version.split(".")[:2])) >= (3, 5)
    said = place.run(f"{page}: OpenSSL {version}", openssl if knows else f"! {openssl}")
    check(f"{page}: OpenSSL {version} prints the group if it knows it", ("group: X25519MLKEM768" in said) == knows, said)
    place.interrupt(f"{page}: the demo", shell, "hybridge demo$")
    # The server of the second section, and what is typed in another terminal.
    shell, _ = place.begin(f"{page}: in front of a server", f"set -e\n{server}\nkill $server; wait $server || true", "message=listening")
    said = place.run(f"{page}: the other terminal", client)
    check(f"{page}: the model server answers over X25519MLKEM768", "X25519MLKEM768" in said and '"object"' in said, said)
    place.interrupt(f"{page}: in front of a server", shell, "hybridge run")


def in_one_shell(*expected):
    def run(page, place, script):
        said = place.run(page, "".join(script), 120)
        for text in expected:
            check(f"{page}: {text} is among what they print", text in said, said)

    return run


def seal(page, place, script):
    (place.folder / "model").mkdir()
    (place.folder / "model/config.json").write_text("{}")
    (place.folder / "model/weights.safetensors").write_bytes(os.urandom(200_000))
    shutil.copy(place.folder / "model/weights.safetensors", place.folder)
    # The recipient of somebody else.
    place.run(f"{page}: another recipient", "hybridge keys seal --out other")
    other = (place.folder / "other/recipient.txt").read_text().split()[-1]
    place.run(page, "".join(script).replace("age1pq1…", other))


def egress(page, place, script):
    said = place.run(page, "".join(script) + "\nkill $stub $server $egress\n")
    check(f"{page}: the server answers over X25519MLKEM768", 'group="X25519MLKEM768"' in said and '"object"' in said, said)


def identity(page, place, script):
    # The page says which error the client without a certificate gets.
    told = re.sub(r"^(curl .*# tlsv13 alert certificate required)$", r"! \1", "".join(script), flags=re.MULTILINE)
    said = place.run(page, told)
    check(f"{page}: only the client with a certificate is let in", "tlsv13 alert certificate required" in said and '"object"' in said, said)


def inventory(page, place, script):
    """The hosts of the page are two sidecars on this one."""
    hosts = place.folder / "hosts"
    hosts.write_text("127.0.0.1 localhost chat.example a.example b.example\n")
    (place.folder / "list.txt").write_text("chat.example\nb.example:8443\n")
    (place.folder / "bin/kubectl").write_text("""#!/bin/sh
echo '{"items": [{"kind": "Ingress", "metadata": {"name": "chat", "namespace": "ai"}, "spec": {"tls": [{"hosts": ["chat.example"]}]}}]}'
""")
    (place.folder / "bin/kubectl").chmod(0o755)
    place.run(f"{page}: the hosts", f"mount --bind {hosts} /etc/hosts; ip address add 10.0.0.7/32 dev lo")
    place.run(f"{page}: their certificates", "hybridge certs --dir . --name chat.example --name a.example --name b.example --name 10.0.0.7")
    server = "hybridge run --name chat --upstream 127.0.0.1:8000 --cert tls.crt --key tls.key --policy hybrid-required"
    place.begin(f"{page}: hosts", f"{server} --listen 0.0.0.0:443", "message=listening")
    place.begin(f"{page}: hosts", f"{server} --listen 127.0.0.1:8443 --listen 10.0.0.7:6443 --admin none", "message=listening")
    # What a requirement says is its exit code.
    told = re.sub(r"^(hybridge scan .*--(?:require|baseline) .*)$", r"\1 || [ $? -eq 1 ]", "".join(script), flags=re.MULTILINE)
    said = place.run(page, told, 120)
    check(f"{page}: the probe sees X25519MLKEM768", "X25519MLKEM768" in said, said)
    for name in ("report.json", "inventory.html", "cbom.json"):
        check(f"{page}: {name} is written", (place.folder / name).stat().st_size > 500)


PAGES = {
    "README.md": readme,
    "docs/capacity.md": in_one_shell("pods"),
    "docs/egress.md": egress,
    "docs/identity.md": identity,
    "docs/install.md": in_one_shell("hybridge 0."),
    "docs/inventory.md": inventory,
    "docs/operations-certificates.md": in_one_shell("tickets"),
    "docs/seal.md": seal,
    "docs/training.md": in_one_shell("X25519MLKEM768"),
}


def main():
    pages = sys.argv[1:] or all_pages()
    for page in pages:
        script, left_out = blocks(page)
        if page not in PAGES:
            test = elsewhere(page)
            check(f"{page}: every block is run by {test}" if test else f"{page}: no block is left that nothing runs", test or not script, script)
            continue
        place = Place(installed=page not in ("README.md", "docs/install.md"))
        try:
            PAGES[page](page, place, script)
        finally:
            place.end()
        if left_out:
            print(f"docs: {page}: {left_out} blocks say why they are not run", flush=True)
    print(f"docs: {counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped", flush=True)
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


sys.exit(main())
