"""The files of a release on a clean Debian: what the documents say of them, tried. Arguments: the folder of the files,
the root of the Debian."""

import base64
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(REPOSITORY / "tests/cluster"))
import image
DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}


def check(text, holds, detail=""):
    outcome = "PASS" if holds else "FAIL"
    counts[outcome] += 1
    print(f"{outcome} release: {text}{'' if holds else f' ({str(detail)[:600]})'}", flush=True)
    return bool(holds)


class Debian:
    """A Debian that systemd runs, until the end of the block."""

    def __init__(self, root):
        self.root = root

    def __enter__(self):
        self.state = tempfile.mkdtemp(prefix="hybridge-debian.")
        flags = ["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--net", "--propagation", "private"]
        self.outer = subprocess.Popen(["unshare", *flags, str(HERE / "boot"), self.root, self.state],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.pid = None
        for _ in range(300):
            children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
            if self.outer.poll() is not None:
                raise RuntimeError(f"systemd did not start: {self.outer.stderr.read()}")
            self.pid = int((children.read_text().split() or [0])[0])
            if self.pid and self.run("systemctl is-system-running --wait >/dev/null; true").returncode == 0 and self.is_up():
                return self
            time.sleep(0.2)
        raise RuntimeError("systemd is not up after a minute")

    def is_up(self):
        return self.run("systemctl is-active basic.target").stdout.strip() == "active"

    def __exit__(self, *_):
        os.kill(self.outer.pid, signal.SIGKILL)
        self.outer.wait()
        shutil.rmtree(self.state, ignore_errors=True)

    def run(self, command):
        inside = ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd", "env", "-i",
                  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "sh", "-c", command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=120)

    def put(self, file):
        """A copy of a file in /root."""
        to = pathlib.Path(f"/proc/{self.pid}/root/root/{file.name}")
        shutil.copy(file, to)
        return f"/root/{file.name}"

    def wait(self, command, text, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done = self.run(command)
            if text in done.stdout + done.stderr:
                return True
            time.sleep(0.3)
        return False


def only(folder, pattern):
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(f"{folder}: {len(found)} files match {pattern}")
    return found[0]


# What scripts/sign-release adds, and what it makes the provenance of.
SIGNED = {"provenance.intoto.jsonl", "model.sig", "model.sig.mldsa"}


def files(folder):
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    named = {}
    for line in sums:
        digest, name = line.split(maxsplit=1)
        named[name.lstrip("*")] = digest
    there = {file.name for file in folder.iterdir()} - {"SHA256SUMS", "provenance.json"} - SIGNED
    check("SHA256SUMS names every file", set(named) == there, set(named) ^ there)
    wrong = [name for name, digest in named.items() if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest]
    check("every checksum holds", not wrong, wrong)
    locked = set(re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', (REPOSITORY / "Cargo.lock").read_text()))
    for file in folder.glob("*.cdx.json"):
        text = file.read_text()
        bill = json.loads(text)
        listed = {(part["name"], part["version"]) for part in bill["components"]}
        check(f"{file.name} is CycloneDX", bill["bomFormat"] == "CycloneDX", bill.get("bomFormat"))
        needed = {"rustls", "aws-lc-rs", "aws-lc-sys", "tokio", "h2"}
        check("it lists what TLS is made of", needed <= {name for name, _ in listed}, needed - {name for name, _ in listed})
        check("each version in it is the locked one", listed <= locked, listed - locked)
        check("it tells no folder of the machine that built", str(REPOSITORY) not in text)


def binaries(folder):
    """Package and image of each architecture have the binary that lies beside them."""
    for file in sorted(folder.glob("hybridge-[0-9]*-unknown-linux-gnu")):
        name = DEBIAN_NAMES[file.name.split("-")[2]]
        packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", only(folder, f"*_{name}.deb")], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            packed = archive.extractfile("./usr/bin/hybridge").read()
        check(f"the package for {name} has that binary", packed == file.read_bytes())
        packed = image.program_of(only(folder, "*-image.tar"), name)
        check(f"the image for {name} has that binary", packed == file.read_bytes())


def program(folder):
    """The binary that runs here."""
    return only(folder, f"hybridge-[0-9]*-{os.uname().machine}-unknown-linux-gnu")


def signatures(folder):
    """scripts/sign-release on a copy, verified as docs/install.md says, and each kind of change refused."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        copy = scratch / "release-files"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*SIGNED))
        if not (copy / "provenance.json").exists():
            counts["SKIP"] += 1
            print("SKIP release: signatures: these files are signed already", flush=True)
            return
        hybridge = program(folder)
        keys = scratch / "keys"
        subprocess.run([hybridge, "keys", "sign", "--out", keys], check=True, capture_output=True)
        done = subprocess.run([REPOSITORY / "scripts/sign-release", keys, copy], capture_output=True, text=True)
        check("scripts/sign-release signs them", done.returncode == 0, done.stdout + done.stderr)
        version = hybridge.name.split("-")[1]
        signed = copy.rename(scratch / f"hybridge-{version}")
        shutil.copy(keys / "ec.pub", scratch / "hybridge-ec.pub")
        shutil.copy(keys / "mldsa.pub", scratch / "hybridge-mldsa.pub")
        section = (REPOSITORY / "docs/install.md").read_text().split("## Verify a release")[1].split("\n## ")[0]
        commands = [line for block in re.findall(r"```sh\n(.*?)```", section, re.S) for line in block.splitlines()]
        path = {**os.environ, "PATH": f"{scratch / 'bin'}:{os.environ['PATH']}"}
        (scratch / "bin").mkdir()
        (scratch / "bin/hybridge").symlink_to(hybridge.resolve())

        def verify(command):
            return subprocess.run(command.replace("scripts/", f"{REPOSITORY}/scripts/"), shell=True, cwd=scratch, env=path, capture_output=True, text=True)

        ours = [command for command in commands if not command.startswith("gh ")]
        check("docs/install.md has three ways to verify here", len(ours) == 3, ours)
        for command in ours:
            done = verify(command)
            check(f"`{command}` succeeds", done.returncode == 0, done.stdout + done.stderr)
        with (signed / "SHA256SUMS").open("a") as sums:
            sums.write("\n")
        refused = [verify(command).returncode for command in ours if "hybridge verify" in command]
        check("a changed file is refused by the two signatures", refused == [1], refused)
        envelope = json.loads((signed / "provenance.intoto.jsonl").read_text())
        payload = base64.b64decode(envelope["payload"]).replace(b"scripts/release", b"scripts/relEase")
        (signed / "provenance.intoto.jsonl").write_text(json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}))
        refused = [verify(command) for command in ours if "provenance.py" in command]
        check("a changed provenance is refused", [one.returncode for one in refused] == [1] and "no signature" in refused[0].stderr, refused)


def package(debian, folder):
    deb = debian.put(only(folder, f"*_{DEBIAN_NAMES[os.uname().machine]}.deb"))
    done = debian.run(f"dpkg -i {deb}")
    check("dpkg installs the package on a clean Debian", done.returncode == 0, done.stdout + done.stderr)
    check("the user hybridge exists and cannot log in", "/usr/sbin/nologin" in debian.run("getent passwd hybridge").stdout)
    check("the directory of the keys is the group's", debian.run("stat -c %U:%G:%a /etc/hybridge/tls").stdout.strip() == "root:hybridge:750")
    check("the service is not started before there is a certificate", debian.run("systemctl is-active hybridge").stdout.strip() == "inactive")
    pages = debian.run("ls /usr/share/man/man1/hybridge-run.1* /usr/share/bash-completion/completions/hybridge /usr/share/doc/hybridge/operations.md*")
    # minbase leaves man pages and documents out of what dpkg unpacks only if its configuration says so.
    check("man pages, completions and documents are there", pages.returncode == 0, pages.stderr)


def commands_of_the_document():
    """The block of docs/install.md under Debian, without sudo and dpkg."""
    text = (REPOSITORY / "docs/install.md").read_text()
    section = text.split("## Debian and Ubuntu")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, re.S) for line in block.splitlines()]
    return [line.split("     #")[0].replace("sudo ", "") for line in lines if "dpkg -i" not in line]


def service(debian):
    for command in commands_of_the_document():
        done = debian.run(command)
        check(f"`{command}` succeeds", done.returncode == 0, done.stdout + done.stderr)
        last = done.stdout
    check("the probe sees hybrid key exchange", "X25519MLKEM768" in last, last)
    shown = debian.run("systemctl show hybridge -p ActiveState,StatusText,User,LimitNOFILE,NRestarts").stdout
    check("systemd has it active, as the user hybridge", "ActiveState=active" in shown and "User=hybridge" in shown, shown)
    check("its status says how many listeners there are", "StatusText=1 listener" in shown, shown)
    user = debian.run("ps -o user= -C hybridge").stdout.strip()
    check("the process runs as hybridge", user == "hybridge" or debian.run("stat -c %U /proc/$(systemctl show -P MainPID hybridge)").stdout.strip() == "hybridge", user)


def reload(debian):
    before = debian.run("sha256sum /etc/hybridge/tls/tls.crt").stdout
    made = debian.run("cd /etc/hybridge/tls && rm tls.crt tls.key && hybridge certs --name localhost --dir . --force && chgrp hybridge tls.key && chmod 640 tls.key")
    check("another certificate can be put in place", made.returncode == 0 and debian.run("sha256sum /etc/hybridge/tls/tls.crt").stdout != before, made.stderr)
    done = debian.run("systemctl reload hybridge")
    check("systemctl reload succeeds", done.returncode == 0, done.stderr)
    check("the new certificate is served", debian.wait("hybridge probe https://localhost:8443/ --ca /etc/hybridge/tls/ca.crt", "X25519MLKEM768"))


def stop(debian):
    # Longer than the unit's own limit: only what hybridge asks for keeps it alive.
    connect = "sleep 60 | curl -sN --cacert /etc/hybridge/tls/ca.crt -T - https://localhost:8443/ >/dev/null 2>&1 &"
    debian.run(connect)
    begin = time.monotonic()
    done = debian.run("systemctl stop hybridge")
    result = debian.run("systemctl show hybridge -p ActiveState,Result,ExecMainStatus").stdout
    check("systemctl stop drains and ends it with exit code 0", done.returncode == 0 and "Result=success" in result and "ExecMainStatus=0" in result,
          f"{done.stderr} {result} after {time.monotonic() - begin:.0f} s")


def wrong(debian):
    debian.run("sed -i 's/^policy.*/policy = \"banana\"/' /etc/hybridge/hybridge.toml; systemctl start hybridge")
    shown = debian.run("systemctl show hybridge -p ActiveState,ExecMainStatus,NRestarts").stdout
    check("a wrong configuration is not started again and again", "ActiveState=failed" in shown and "ExecMainStatus=64" in shown and "NRestarts=0" in shown, shown)
    said = debian.run("journalctl -u hybridge --no-pager").stdout
    check("the journal names the value and the line", "banana" in said and "hybridge.toml" in said, said[-600:])


def removal(debian):
    done = debian.run("dpkg -r hybridge && dpkg -P hybridge")
    check("the package is removed and purged", done.returncode == 0, done.stdout + done.stderr)
    check("the keys stay", debian.run("test -f /etc/hybridge/tls/tls.key").returncode == 0)
    check("the binary is gone", debian.run("test -e /usr/bin/hybridge").returncode != 0)


def main():
    folder, root = pathlib.Path(sys.argv[1]), sys.argv[2]
    files(folder)
    binaries(folder)
    signatures(folder)
    rating = subprocess.run(["systemd-analyze", "security", "--offline=true", REPOSITORY / "packaging/hybridge.service"], capture_output=True, text=True)
    found = re.search(r"exposure level for hybridge.service: ([0-9.]+)", rating.stdout)
    if found:
        check("systemd-analyze security rates the unit 2 or better", float(found[1]) <= 2, found[1])
    else:
        counts["SKIP"] += 1
        print("SKIP release: systemd-analyze does not rate units here", flush=True)
    with Debian(root) as debian:
        package(debian, folder)
        service(debian)
        reload(debian)
        stop(debian)
        wrong(debian)
        removal(debian)
    print(f"release: {counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped", flush=True)
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


sys.exit(main())
