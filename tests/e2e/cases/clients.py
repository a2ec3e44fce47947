"""Clients with their own defaults: hybrid from the version on that docs/clients.md names, classical before."""

import re
import shutil
import ssl
import subprocess
import sys
import tempfile

from apps import echo
from harness import Skip, eventually, run_cases
from peers import peer
from sidecar import Sidecar

GO = """package main

import (
	"crypto/tls"
	"net/http"
	"os"
)

func main() {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	response.Body.Close()
}
"""

JAVA = """
import java.io.InputStream;
import java.net.Socket;
import java.security.cert.X509Certificate;
import javax.net.ssl.*;

class Client {
    public static void main(String[] arguments) throws Exception {
        X509ExtendedTrustManager anybody = new X509ExtendedTrustManager() {
            public void checkClientTrusted(X509Certificate[] chain, String kind) {}
            public void checkServerTrusted(X509Certificate[] chain, String kind) {}
            public void checkClientTrusted(X509Certificate[] chain, String kind, Socket socket) {}
            public void checkServerTrusted(X509Certificate[] chain, String kind, Socket socket) {}
            public void checkClientTrusted(X509Certificate[] chain, String kind, SSLEngine engine) {}
            public void checkServerTrusted(X509Certificate[] chain, String kind, SSLEngine engine) {}
            public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
        };
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {anybody}, null);
        HttpsURLConnection connection = (HttpsURLConnection) new java.net.URL(arguments[0]).openConnection();
        connection.setSSLSocketFactory(context.getSocketFactory());
        connection.setHostnameVerifier((name, session) -> true);
        try (InputStream body = connection.getInputStream()) { body.readAllBytes(); }
    }
}
"""


def version(text, pattern):
    found = re.search(pattern, text)
    assert found, text
    return tuple(int(part) for part in found.groups())


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def gets(command, hybrid):
    """Whether a client that is run with the URL as its last argument comes with a hybrid group, as expected."""
    with echo() as app, Sidecar(app) as sidecar:
        done = command(f"https://127.0.0.1:{sidecar.hybrid}/")
        count = lambda **labels: sidecar.metric("hybridge_handshakes_total", listener="hybrid", **labels)  # noqa: E731
        eventually(f"a handshake: {done}", lambda: count() >= 1)
        offered = "hybrid" if hybrid else "classical"
        assert count(offered=offered) == count(), sidecar.page("/metrics")
        assert (count(group="X25519MLKEM768") == count()) == hybrid, sidecar.page("/metrics")


def run(*command, folder=None):
    return lambda url: subprocess.run(
        [*command, url], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True
    )


def needs(name):
    if not shutil.which(name):
        raise Skip(f"there is no {name}")


def case_go():
    needs("go")
    hybrid = version(output("go", "version"), r"go(\d+)\.(\d+)") >= (1, 24)
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/main.go", "w", encoding="utf-8") as file:
            file.write(GO)
        subprocess.run(["go", "build", "-o", f"{folder}/client", "main.go"], cwd=folder, check=True)
        gets(run(f"{folder}/client"), hybrid)


def case_node():
    needs("node")
    program = "require('https').get(process.argv[1], {rejectUnauthorized: false}, r => r.resume())"
    hybrid = version(output("node", "-p", "process.versions.openssl"), r"(\d+)\.(\d+)") >= (3, 5)
    gets(run("node", "-e", program), hybrid)


def case_python():
    program = "import ssl, sys, urllib.request as u; u.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read()"
    gets(run(sys.executable, "-c", program), ssl.OPENSSL_VERSION_INFO >= (3, 5))


def case_java():
    needs("java")
    hybrid = version(output("java", "-version"), r'version "(\d+)')[0] >= 27
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/Client.java", "w", encoding="utf-8") as file:
            file.write(JAVA)
        gets(run("java", f"{folder}/Client.java"), hybrid)


def case_curl_of_this_machine():
    needs("curl")
    said = output("curl", "--version")
    if "OpenSSL/" not in said:
        raise Skip("curl is not built with OpenSSL")
    gets(run("curl", "-sk"), version(said, r"OpenSSL/(\d+)\.(\d+)") >= (3, 5))


def case_curl_with_openssl_3_5():
    def call(url):
        return peer(["curl", "-sk", url])

    gets(call, True)


run_cases(globals())
