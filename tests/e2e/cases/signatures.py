"""The clients of docs/signatures.md, exactly as they stand there: signed by both keys a request is served, by one it is not,
and a stream whose signatures are a comment is verified."""

import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from harness import Skip, equal, run_cases
from sidecar import BINARY, Sidecar

DOCUMENT = os.path.join(os.path.dirname(__file__), "../../../docs/signatures.md")


class App(http.server.BaseHTTPRequestHandler):
    """Says who signed what it got."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith("/events"):
            return self.stream([b"data: " + body + b"\n\n", b"data: [DONE]\n\n"])
        answer = self.headers.get("x-signature-principal", "nobody").encode() + b" says " + body
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Stage:
    """Keys, the document's programs, an app and a sidecar that demands signatures and signs responses."""

    def __init__(self, mode="require"):
        self.mode = mode

    def __enter__(self):
        try:
            import cryptography  # noqa: F401
        except ImportError:
            raise Skip("no Python package cryptography") from None
        self.root = tempfile.mkdtemp(prefix="hybridge-signatures-")
        subprocess.run([BINARY, "keys", "sign", "--out", f"{self.root}/me"], check=True, stdout=subprocess.DEVNULL)
        with open(DOCUMENT, encoding="utf-8") as file:
            blocks = re.findall(r"^```(python|js)\n(.*?)^```", file.read(), re.S | re.M)
        equal([kind for kind, _ in blocks], ["python", "python", "python", "js"])
        for name, (_, text) in zip(("keys.py", "client.py", "verify.py", "client.mjs"), blocks):
            with open(f"{self.root}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        with open(f"{self.root}/clients.jwks", "wb") as file:
            file.write(self.run(sys.executable, "keys.py").stdout)
        self.app = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
        threading.Thread(target=self.app.serve_forever, daemon=True).start()
        options = f'[listener.signature]\nmode = "{self.mode}"\nkeys = "{self.root}/clients.jwks"\nresponses = "{self.root}/me"\nsse-comment = true\n'
        self.sidecar = Sidecar(f"127.0.0.1:{self.app.server_port}", options)
        return self

    def __exit__(self, *_):
        self.sidecar.process.terminate()
        self.sidecar.process.wait(30)
        self.app.shutdown()
        shutil.rmtree(self.root)

    def run(self, *arguments, body=b"", code=0):
        ran = subprocess.run(arguments, cwd=self.root, input=body, capture_output=True, timeout=60)
        assert ran.returncode == code, f"{arguments}: {ran.returncode} {ran.stderr.decode()[-500:]}"
        return ran

    def client(self, *program, path="/v1/x?n=1", **more):
        url = f"https://localhost:{self.sidecar.hybrid}{path}"
        return self.run(*program, url, self.sidecar.ca, body=b'{"prompt": "hi"}', **more)


def case_python_signs_with_both_keys_and_is_served():
    with Stage() as stage:
        equal(stage.client(sys.executable, "client.py").stdout.strip(), b'batch says {"prompt": "hi"}')


def case_python_signs_with_one_key_and_gets_401():
    with Stage() as stage:
        with open(f"{stage.root}/client.py", encoding="utf-8") as file:
            text = file.read()
        one = text.replace(', ("batch-pq", pq_key.sign))', ",)")
        assert one != text
        with open(f"{stage.root}/one.py", "w", encoding="utf-8") as file:
            file.write(one)
        assert b"HTTP Error 401" in stage.client(sys.executable, "one.py", code=1).stderr


def case_python_verifies_events_by_their_comment():
    with Stage("verify") as stage:
        os.symlink(f"{stage.root}/me", f"{stage.root}/signer")
        verified = stage.client(sys.executable, "verify.py", path="/events?n=1").stdout
        equal(verified, b'data: {"prompt": "hi"}\n\ndata: [DONE]\n\n')
        subprocess.run([BINARY, "keys", "sign", "--out", f"{stage.root}/other"], check=True, stdout=subprocess.DEVNULL)
        os.remove(f"{stage.root}/signer")
        os.symlink(f"{stage.root}/other", f"{stage.root}/signer")
        assert b"InvalidSignature" in stage.client(sys.executable, "verify.py", path="/events?n=1", code=1).stderr


def case_node_signs_with_both_keys_and_is_served():
    modules = os.environ.get("TYPAGE")
    if not modules or not shutil.which("node"):
        raise Skip("no npm to install @noble/post-quantum with")
    with Stage() as stage:
        os.symlink(f"{modules}/node_modules", f"{stage.root}/node_modules")
        equal(stage.client("node", "client.mjs").stdout, b'batch says {"prompt": "hi"}')



run_cases(globals())
