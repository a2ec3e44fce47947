"""Go's TLS with a client certificate: admitted with the hybrid group, refused with the alert that says why, and given the
certificate that it can verify. With `GOTOOLCHAIN=go1.27.3` that is one of ML-DSA."""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile

from apps import Echo, echo
from authority import SERVER, Authority
from harness import Skip, equal, eventually, run_cases
from sidecar import BINARY, Sidecar

BATCH = "spiffe://example.org/ns/ai/sa/batch"

# Connects twice and says how each went. In TLS 1.3 a client learns of a refusal when it reads.
GO = """package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
)

type result struct {
	Error, Group, Key, Body string
	Status                  int
	Resumed                 bool
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func once(address string, config *tls.Config) (said result) {
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return result{Error: err.Error()}
	}
	defer connection.Close()
	state := connection.ConnectionState()
	said.Group, said.Resumed = state.CurveID.String(), state.DidResume
	said.Key = state.PeerCertificates[0].PublicKeyAlgorithm.String()
	io.WriteString(connection, "GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		said.Error = err.Error()
		return
	}
	said.Status = response.StatusCode
	said.Body = string(must(io.ReadAll(response.Body)))
	return
}

// Arguments: address, CA file, and maybe certificate and key.
func main() {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(os.Args[2])))
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if len(os.Args) > 4 {
		config.Certificates = []tls.Certificate{must(tls.LoadX509KeyPair(os.Args[3], os.Args[4]))}
	}
	for range 2 {
		json.NewEncoder(os.Stdout).Encode(once(os.Args[1], config))
	}
}
"""


class Named(Echo):
    """Answers with what it was told of the client."""

    def answer(self, length):
        page = self.headers.get("x-forwarded-client-cert", "nobody").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def go_version():
    if not shutil.which("go"):
        raise Skip("there is no Go")
    said = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    version = tuple(map(int, re.search(r"go(\d+)\.(\d+)", said).groups()))
    if version < (1, 25):
        raise Skip(f"Go {version} does not tell the group; 1.25 does")
    return version


@contextlib.contextmanager
def go_client():
    """A function from arguments to what both of its connections say."""
    go_version()
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/main.go", "w", encoding="utf-8") as file:
            file.write(GO)
        subprocess.run(["go", "build", "-o", f"{folder}/client", "main.go"], cwd=folder, check=True)

        def client(port, *files):
            command = [f"{folder}/client", f"127.0.0.1:{port}", *files]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            return [json.loads(line) for line in done.stdout.splitlines()]

        yield client


@contextlib.contextmanager
def gate(folder, mode="required"):
    """A sidecar that admits the batch job, the authority that certifies it, and one of its certificates that is revoked."""
    clients = Authority(folder)
    revoked = clients.issue(BATCH)
    tls = f'client-auth = "{mode}"\nclient-ca = "{clients.path}"\nclient-crl = "{clients.revoke(revoked[2])}"\n'
    with echo(Named) as app, Sidecar(app, tls=tls + 'allow-uri = ["spiffe://example.org/ns/*/sa/batch"]') as sidecar:
        yield sidecar, clients, revoked[:2]


def case_go_is_admitted_with_the_hybrid_group_and_resumed_with_its_name():
    with go_client() as client, tempfile.TemporaryDirectory() as folder, gate(folder) as (sidecar, clients, _):
        crt, key, _ = clients.issue(BATCH)
        for port, group in ((sidecar.hybrid, "X25519MLKEM768"), (sidecar.classical, "X25519")):
            first, second = client(port, sidecar.ca, crt, key)
            for said, resumed in ((first, False), (second, True)):
                equal((said["Error"], said["Status"], said["Group"], said["Resumed"]), ("", 200, group, resumed))
                assert f"URI={BATCH}" in said["Body"], said
        name = "hybridge_client_certificate_algorithm_total"
        equal(sidecar.metric(name, listener="hybrid", algorithm="ecdsa-p256"), 2)


def case_go_is_refused_with_the_alert_that_says_why():
    with go_client() as client, tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        for mode in ("required", "optional"):
            with gate(folder, mode) as (sidecar, clients, revoked):
                refused = {
                    "untrusted": (Authority(elsewhere).issue(BATCH), "unknown certificate authority"),
                    "expired": (clients.issue(BATCH, first=-2, last=-1), "expired certificate"),
                    "wrong_purpose": (clients.issue(BATCH, usage=SERVER), "unsupported certificate"),
                    "denied": (clients.issue("spiffe://example.org/ns/ai/sa/other"), "access denied"),
                    "revoked": (revoked, "revoked certificate"),
                }
                if mode == "required":
                    refused["missing"] = ((), "certificate required")
                else:
                    equal([said["Body"] for said in client(sidecar.hybrid, sidecar.ca)], ["nobody", "nobody"])
                for result, (files, alert) in refused.items():
                    for said in client(sidecar.hybrid, sidecar.ca, *files[:2]):
                        equal((said["Error"], said["Status"]), (f"remote error: tls: {alert}", 0))
                    name, labels = "hybridge_handshake_failures_total", {"reason": f"client_certificate_{result}"}
                    eventually(f"{result} to be counted", lambda n=name, l=labels: sidecar.metric(n, **l) == 2)


def case_go_gets_the_certificate_that_it_can_verify():
    """ML-DSA from 1.27 on, which needs its root; before, the classical one of the two."""
    ml_dsa = go_version() >= (1, 27)
    with go_client() as client, tempfile.TemporaryDirectory() as folder, echo() as app:
        command = [BINARY, "certs", "--dir", folder, "--algorithm", "ml-dsa-65", "--name", "localhost"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        pair = f'[[listener.tls.certificate]]\ncert = "{folder}/tls.crt"\nkey = "{folder}/tls.key"\nnames = ["localhost"]\n'
        with Sidecar(app, tls=pair, tickets=0) as sidecar:
            with open(sidecar.ca, encoding="utf-8") as one, open(f"{folder}/ca.crt", encoding="utf-8") as other:
                both = one.read() + other.read()
            with open(f"{folder}/both.crt", "w", encoding="utf-8") as file:
                file.write(both)
            for said in client(sidecar.hybrid, f"{folder}/both.crt"):
                equal((said["Error"], said["Status"], said["Key"] == "ECDSA"), ("", 200, not ml_dsa))
            for said in client(sidecar.hybrid, sidecar.ca):
                if ml_dsa:
                    assert "x509: certificate signed by unknown authority" in said["Error"], said
                else:
                    equal((said["Error"], said["Key"]), ("", "ECDSA"))
            failed = sidecar.metric("hybridge_handshake_failures_total", reason="client_distrusts_us")
            equal(failed, 2 if ml_dsa else 0)


run_cases(globals())
