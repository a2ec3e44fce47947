"""What signed responses cost a client and the sidecar: `just signing-figures`. Two sidecars, one that signs, a request to each in
turn, so that what slows the machine down slows both."""

import os
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

from harness import Skip, eventually, free_port, listening, run_cases

BINARY = os.environ["HYBRIDGE_BIN"]
TIMES = 3000
SHORT = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"object":"x"}\n'
FIRST = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"


def serve(client):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = b""
    while data := client.recv(65536):
        waiting += data
        while b"\r\n\r\n" in waiting:
            head, waiting = waiting.split(b"\r\n\r\n", 1)
            if b"/short" in head:
                client.sendall(SHORT)
            else:
                client.sendall(FIRST)
                time.sleep(0.002)
                client.sendall(b"0\r\n\r\n")


def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


class Stage:
    """An app, and a client of each sidecar."""

    def __enter__(self):
        if not os.environ.get("SIGNING_FIGURES"):
            raise Skip("measured by `just signing-figures`")
        self.root = tempfile.mkdtemp(prefix="hybridge-signing-")
        for words in (["certs", "--dir", self.root], ["keys", "sign", "--out", f"{self.root}/signer"]):
            subprocess.run([BINARY, *words], check=True, stdout=subprocess.DEVNULL)
        app = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=accept, args=(app,), daemon=True).start()
        self.processes, self.clients = {}, {}
        for name, words in (("off", []), ("on", ["--signature-responses", f"{self.root}/signer"])):
            port = free_port()
            options = ["--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{app.getsockname()[1]}", "--admin", "none"]
            options += ["--cert", f"{self.root}/tls.crt", "--key", f"{self.root}/tls.key", "--workers", "1", *words]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self.processes[name] = subprocess.Popen([BINARY, "run", *options], **quiet)
            eventually("the sidecar", lambda port=port: listening(port))
            context = ssl.create_default_context(cafile=f"{self.root}/ca.crt")
            client = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.clients[name] = client
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.root)

    def cpu(self, name):
        with open(f"/proc/{self.processes[name].pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, path, first, ended):
        """Median microseconds to `first`, and the sidecar's CPU microseconds of a request, off and on."""
        took, begin = {name: [] for name in self.clients}, {name: self.cpu(name) for name in self.clients}
        for _ in range(TIMES):
            for name, client in self.clients.items():
                took[name].append(ask(client, path, first, ended))
        for name, all_of_it in took.items():
            cpu = (self.cpu(name) - begin[name]) / TIMES
            print(f"{path.decode()}, signing {name}: median {statistics.median(all_of_it) * 1e6:.0f} us, {cpu * 1e6:.0f} us CPU", flush=True)
        return {name: statistics.median(all_of_it) for name, all_of_it in took.items()}


def ask(client, path, first, ended):
    begin, seen, took = time.perf_counter(), b"", None
    client.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
    while took is None or not ended(seen):
        data = client.recv(65536)
        assert data, "closed"
        seen += data
        if took is None and first in seen:
            took = time.perf_counter() - begin
    return took


def case_the_first_token_of_a_stream_waits_for_no_signature():
    with Stage() as stage:
        medians = stage.measure(b"/stream", b"data: 1\n\n", lambda seen: b"\r\n0\r\n" in seen and seen.endswith(b"\r\n\r\n"))
        assert medians["on"] - medians["off"] <= 0.0002, medians


def case_a_short_response_waits_for_both():
    with Stage() as stage:
        medians = stage.measure(b"/short", b'"x"}\n', lambda seen: seen.endswith(b'"x"}\n'))
        assert medians["on"] > medians["off"], medians


run_cases(globals())
