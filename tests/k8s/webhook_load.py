#!/usr/bin/env python3
"""Measures the webhook under load: 200 reviews a second over 8 connections, the server on one core.

Prints latencies, counted from the moment a review was due, and the server's CPU time. Asserts nothing:
on a busy machine the latencies are the machine's. Use a release build on an idle machine.

    tests/k8s/webhook_load.py [target/release/hybridge [reviews per second [seconds]]]
"""

import base64
import http.client
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HYBRIDGE = sys.argv[1] if len(sys.argv) > 1 else "target/release/hybridge"
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 200
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 20
CONNECTIONS = 8
WEBHOOK, ADMIN = ("127.0.0.1", 19443), ("127.0.0.1", 19444)
BODY = (ROOT / "tests/inject/fixtures/admission/pod-nogate-first-call.json").read_text()


def write_certificate(folder):
    text = subprocess.run([HYBRIDGE, "inject", "certs", "--service", "localhost", "--namespace", "x"], capture_output=True, text=True, check=True).stdout
    for name in ("tls.crt", "tls.key"):
        encoded = re.search(rf'{re.escape(name)}: "?([A-Za-z0-9+/=]+)', text).group(1)
        (folder / name).write_bytes(base64.b64decode(encoded))


def cpu_seconds(pid):
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().split()[13:15])) / 100


def wait_until_ready():
    for _ in range(200):
        try:
            connection = http.client.HTTPConnection(*ADMIN)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    sys.exit("the webhook does not get ready")


def ask(number, began, latencies):
    connection = http.client.HTTPSConnection(*WEBHOOK, context=ssl._create_unverified_context())
    for turn in range(RATE * SECONDS // CONNECTIONS):
        due = began + (number + turn * CONNECTIONS) / RATE
        time.sleep(max(0, due - time.perf_counter()))
        connection.request("POST", "/inject/object?timeout=5s", BODY, {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
        latencies.append(time.perf_counter() - due)


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    write_certificate(folder)
    server = subprocess.Popen(["taskset", "-c", "0", HYBRIDGE, "inject", "serve", "--listen", "%s:%d" % WEBHOOK, "--admin", "%s:%d" % ADMIN,
                               "--cert", folder / "tls.crt", "--key", folder / "tls.key"], stderr=subprocess.DEVNULL)
    try:
        wait_until_ready()
        latencies, before, began = [], cpu_seconds(server.pid), time.perf_counter() + 0.5
        clients = [threading.Thread(target=ask, args=(number, began, latencies)) for number in range(CONNECTIONS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        used = cpu_seconds(server.pid) - before
    finally:
        server.terminate()
        server.wait()
    latencies.sort()
    at = lambda share: f"{latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000:.2f} ms"
    print(f"{len(latencies)} reviews at {RATE}/s: p50 {at(0.5)}, p99 {at(0.99)}, max {at(1)}; server {used / len(latencies) * 1000:.3f} ms CPU each")


if __name__ == "__main__":
    main()
