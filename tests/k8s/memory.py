#!/usr/bin/env python3
"""Fills an injected sidecar with as many connections as it admits, and looks at its memory.

Three times over: connections between two requests, token streams that are read, and answers without end
that are not read, which is the most an HTTP/1.1 connection holds and what the limit is made for. The sidecar has the variables that `hybridge inject` gives it, and its memory limit as a memory
cgroup where one can be made (root); without one its resident memory is compared with the limit.

    tests/k8s/memory.py [target/debug/hybridge [memory, such as 128Mi]]
"""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HYBRIDGE = sys.argv[1] if len(sys.argv) > 1 else "target/debug/hybridge"
MEMORY = sys.argv[2] if len(sys.argv) > 2 else None
APP_PORT, ADMIN_PORT = 18000, 15400
# Addresses of loopback that are "the pod's": the app has 127.0.0.1 to itself.
POD_IP = "127.8.0.1"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "stub", "annotations": {"hybridge.dev/ports": str(APP_PORT), "hybridge.dev/bind": "none"}},
    "spec": {"containers": [{"name": "app", "image": "stub:1", "ports": [{"containerPort": APP_PORT}]}]},
}
failed = False


def check(name, holds, detail=""):
    global failed
    failed |= not holds
    print(f"{'PASS' if holds else 'FAIL'} memory: {name}{'' if holds else f' ({detail})'}", flush=True)


def sidecar():
    if MEMORY:
        POD["metadata"]["annotations"]["hybridge.dev/memory"] = MEMORY
    done = subprocess.run([HYBRIDGE, "inject", "-f", "-"], input=json.dumps(POD), capture_output=True, text=True, check=True)
    return next(c for c in json.loads(done.stdout)["spec"]["initContainers"] if c["name"] == "hybridge")


def size(quantity):
    return int(quantity[:-2]) * {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[quantity[-2:]]


class Limit:
    """A memory cgroup, of version 2 or 1; `None` for the folder where there is none to be had."""

    def __init__(self, limit):
        self.folder = None
        for parent, name in ((CGROUPS, "memory.max"), (CGROUPS / "memory", "memory.limit_in_bytes")):
            folder = parent / f"hybridge-memory-{os.getpid()}"
            if not (parent / "cgroup.procs").exists():
                continue
            try:
                folder.mkdir()
                (folder / name).write_text(str(limit))
                self.folder = folder
                return
            except OSError:
                if folder.is_dir():
                    folder.rmdir()

    def enter(self):
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def peak(self):
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if self.folder and (self.folder / name).exists():
                return int((self.folder / name).read_text())
        return None

    def remove(self):
        if self.folder:
            self.folder.rmdir()


def resident(pid):
    """Bytes of its own that the process has in memory, without pages of files."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024


def talk(connection):
    """The app: one small answer, tokens from time to time, or as much as can be written."""
    try:
        path = connection.recv(4096).split(b" ")[1]
        if path == b"/idle":
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            connection.recv(1)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        while True:
            connection.sendall(b"data: x\n\n" * (1000 if path == b"/unread" else 1))
            time.sleep(0 if path == b"/unread" else 0.5)
    except (OSError, IndexError):
        connection.close()


def serve_app():
    server = socket.create_server(("127.0.0.1", APP_PORT), backlog=1024)
    threading.stack_size(128 << 10)

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server


def client(context, path):
    plain = socket.create_connection((POD_IP, APP_PORT), timeout=20)
    connection = context.wrap_socket(plain)
    connection.sendall(b"GET /%s HTTP/1.1\r\nhost: a\r\n\r\n" % path.encode())
    if not connection.recv(16).startswith(b"HTTP/1.1 200"):
        raise OSError("no answer")
    return connection


def read_all(connections):
    """What has arrived for each of them, for two seconds."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for connection in connections:
            connection.setblocking(False)
            try:
                connection.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
        time.sleep(0.1)


class Load:
    """As many connections of one kind as are admitted, while the block runs."""

    def __init__(self, context, path, most):
        self.context, self.path, self.most, self.connections = context, path, most, []

    def __enter__(self):
        try:
            while len(self.connections) < self.most:
                self.connections.append(client(self.context, self.path))
        except OSError as error:
            check(f"{self.most} connections for /{self.path}", False, f"number {len(self.connections) + 1}: {error}")
        return self.connections

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()


def ready():
    for _ in range(400):
        try:
            with socket.create_connection(("127.0.0.1", ADMIN_PORT), timeout=5) as connection:
                connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def served(context):
    """Whether a newcomer gets its handshake: of those that read nothing for some seconds, one makes room."""
    try:
        with socket.create_connection((POD_IP, APP_PORT), timeout=30) as stream, context.wrap_socket(stream):
            return True
    except OSError as error:
        print(f"memory: the newcomer: {error}")
        return False


def settled(pid):
    """Waits until the memory no longer grows."""
    last, same = 0, 0
    for _ in range(120):
        if not pathlib.Path(f"/proc/{pid}/status").read_text().count("RssAnon"):
            return
        now = resident(pid)
        same = same + 1 if now <= last * 1.01 else 0
        if same >= 6:
            return
        last = max(now, last)
        time.sleep(0.25)


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    container = sidecar()
    limit = size(container["resources"]["limits"]["memory"])
    env = {e["name"]: e["value"] for e in container["env"] if "value" in e}
    most = int(env["HYBRIDGE_MAX_CONNECTIONS"])
    folder = pathlib.Path(tempfile.mkdtemp())
    subprocess.run([HYBRIDGE, "certs", "--dir", folder], check=True, capture_output=True)
    env |= {"POD_IPS": POD_IP, "HYBRIDGE_CERT": str(folder / "tls.crt"), "HYBRIDGE_KEY": str(folder / "tls.key"), "HYBRIDGE_DRAIN_TIMEOUT": "1s", "HYBRIDGE_DRAIN_DELAY": "0s"}
    cgroup, app = Limit(limit), serve_app()
    process = subprocess.Popen([HYBRIDGE, *container["args"]], env=env, preexec_fn=cgroup.enter, stderr=open(folder / "log", "w"))
    def report(what):
        full = resident(process.pid) if process.poll() is None else limit
        print(f"memory: {what}: {full / 2**20:.1f} MiB, {(full - empty) / most / 1024:.1f} KiB each")
        return full

    try:
        check("the sidecar starts", ready(), (folder / "log").read_text())
        empty = resident(process.pid)
        print(f"memory: without connections: {empty / 2**20:.1f} MiB")
        context = ssl._create_unverified_context()
        with Load(context, "idle", most):
            report(f"{most} connections between two requests")
        with Load(context, "stream", most) as connections:
            read_all(connections)
            report(f"{most} streams that are read")
        with Load(context, "unread", most):
            settled(process.pid)
            full = report(f"{most} answers that are not read")
            alive = process.poll() is None
            check(f"{most} unread answers fit into {limit >> 20} MiB", alive and full < limit, f"{full} bytes, exit code {process.poll()}")
            print(f"memory: peak of the cgroup: {cgroup.peak() / 2**20:.1f} MiB" if cgroup.peak() else "SKIP memory: the limit as a cgroup: none can be made here")
            check("one that reads nothing makes room for a newcomer", alive and served(context))
        with Load(context, "idle", 1):
            check("afterwards it serves as before", process.poll() is None)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        app.close()
        cgroup.remove()
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
