"""Other people's TLS servers and clients on loopback, run by chroot from a Debian suite with OpenSSL 3.6, nginx, HAProxy, Caddy and
stunnel."""

import contextlib
import os
import shutil
import subprocess
import tempfile

from harness import Skip, eventually, free_port, listening

ROOT = os.environ.get("SERVER_ROOT", "")

GO = """package main

import "crypto/tls"
import "net/http"
import "os"

func main() {
	server := &http.Server{Addr: os.Args[1], TLSConfig: &tls.Config{}}
	if len(os.Args) > 4 {
		server.TLSConfig.CurvePreferences = []tls.CurveID{tls.X25519}
	}
	panic(server.ListenAndServeTLS(os.Args[2], os.Args[3]))
}
"""

STREAM = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid @DIR@/nginx.pid; error_log stderr; user root; events { }
stream { %s }
"""

STUNNEL = "foreground = yes\npid =\nsslVersionMin = TLSv1.3\n"


@contextlib.contextmanager
def started(command, port, environment=None):
    """A server while it is needed; its output is shown if it does not listen."""
    with tempfile.TemporaryFile() as log:
        full = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=full)
        try:
            eventually(f"{command[:3]} to listen", lambda: process.poll() is not None or listening(port))
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(f"{command}: {log.read()[-800:]!r}")
            yield port
        finally:
            process.terminate()
            process.wait(timeout=20)


class Servers:
    """Starts each of them with one certificate."""

    def __init__(self, certificate):
        """`certificate`: the folder with tls.crt and tls.key."""
        self.outside = certificate

    @contextlib.contextmanager
    def folder(self):
        """A folder that the servers of the suite see, with the certificate; its path inside and outside."""
        if not ROOT:
            raise Skip("there is no Debian suite of servers (needs root and debootstrap)")
        outside = tempfile.mkdtemp(dir=os.path.join(ROOT, "tmp"))
        try:
            for name in ("tls.crt", "tls.key", "ca.crt"):
                shutil.copy(os.path.join(self.outside, name), outside)
            with open(f"{outside}/both.pem", "wb") as both:
                for name in ("tls.crt", "tls.key"):
                    with open(f"{outside}/{name}", "rb") as part:
                        both.write(part.read())
            yield outside, f"/tmp/{os.path.basename(outside)}"
        finally:
            shutil.rmtree(outside)

    @contextlib.contextmanager
    def configured(self, name, text, command, environment=None):
        """One with a configuration file; `{dir}` and `{port}` are filled in."""
        with self.folder() as (outside, inside):
            port = free_port()
            with open(f"{outside}/{name}", "w", encoding="utf-8") as file:
                file.write(text.replace("@DIR@", inside).replace("@PORT@", str(port)))
            with started(["chroot", ROOT, *command, f"{inside}/{name}"], port, environment):
                yield port

    @contextlib.contextmanager
    def openssl(self, groups, *more, port=None):
        with self.folder() as (_, inside):
            port = port or free_port()
            command = ["chroot", ROOT, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-groups", groups]
            with started([*command, "-cert", f"{inside}/tls.crt", "-key", f"{inside}/tls.key", *more], port):
                yield port

    @contextlib.contextmanager
    def old_openssl(self, groups):
        """That of this machine, whatever its version."""
        port, pair = free_port(), [f"{self.outside}/tls.crt", f"{self.outside}/tls.key"]
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-groups", groups]
        with started([*command, "-cert", pair[0], "-key", pair[1]], port):
            yield port

    def nginx(self, groups):
        text = f"""
daemon off; pid @DIR@/nginx.pid; error_log stderr; user root; events {{ }}
http {{ access_log off; server {{ listen 127.0.0.1:@PORT@ ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve {groups};
  ssl_certificate @DIR@/tls.crt; ssl_certificate_key @DIR@/tls.key; }} }}
"""
        return self.configured("nginx.conf", text, ["nginx", "-c"])

    def nginx_behind_us(self, told):
        """Without TLS, behind a PROXY protocol header: answers with what it was told by one."""
        text = f"""
daemon off; pid @DIR@/nginx.pid; error_log stderr; user root; events {{ }}
http {{ access_log off; server {{ listen 127.0.0.1:@PORT@ proxy_protocol; default_type text/plain; return 200 "{told}"; }} }}
"""
        return self.configured("nginx.conf", text, ["nginx", "-c"])

    def haproxy_behind_us(self, told):
        text = f"""
defaults
  mode http
  timeout connect 5s
  timeout client 9s
  timeout server 9s
frontend plain
  bind 127.0.0.1:@PORT@ accept-proxy
  http-request return status 200 content-type text/plain lf-string "{told}"
"""
        return self.configured("haproxy.cfg", text, ["haproxy", "-f"])

    def nginx_stream(self, groups, upstream):
        """Bytes out of TLS to the port `upstream`."""
        ssl = f"ssl_protocols TLSv1.3; ssl_ecdh_curve {groups}; ssl_certificate @DIR@/tls.crt; ssl_certificate_key @DIR@/tls.key;"
        text = STREAM % f"server {{ listen 127.0.0.1:@PORT@ ssl; {ssl} proxy_pass 127.0.0.1:{upstream}; }}"
        return self.configured("nginx.conf", text, ["nginx", "-c"])

    def nginx_stream_client(self, groups, server):
        """Bytes into TLS to the port `server`, whose certificate is verified."""
        verified = "proxy_ssl_verify on; proxy_ssl_trusted_certificate @DIR@/ca.crt; proxy_ssl_name localhost; proxy_ssl_server_name on;"
        ssl = f"proxy_ssl on; proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Groups {groups}; {verified}"
        text = STREAM % f"server {{ listen 127.0.0.1:@PORT@; {ssl} proxy_pass 127.0.0.1:{server}; }}"
        return self.configured("nginx.conf", text, ["nginx", "-c"])

    def stunnel(self, groups, upstream):
        text = f"{STUNNEL}curves = {groups}\ncert = @DIR@/tls.crt\nkey = @DIR@/tls.key\n"
        return self.configured("stunnel.conf", f"{text}[tls]\naccept = 127.0.0.1:@PORT@\nconnect = 127.0.0.1:{upstream}\n", ["stunnel"])

    def stunnel_client(self, groups, server):
        verified = "CAfile = @DIR@/ca.crt\nverifyChain = yes\ncheckHost = localhost\nsni = localhost\n"
        text = f"{STUNNEL}client = yes\ncurves = {groups}\n{verified}"
        return self.configured("stunnel.conf", f"{text}[tls]\naccept = 127.0.0.1:@PORT@\nconnect = 127.0.0.1:{server}\n", ["stunnel"])

    def haproxy(self, groups):
        text = f"""
defaults
  mode http
  timeout connect 5s
  timeout client 9s
  timeout server 9s
frontend tls
  bind 127.0.0.1:@PORT@ ssl crt @DIR@/both.pem curves {groups}
"""
        return self.configured("haproxy.cfg", text, ["haproxy", "-f"])

    def caddy(self, godebug):
        text = """
{
	auto_https off
	admin off
}
https://localhost:@PORT@, https://127.0.0.1:@PORT@ {
	bind 127.0.0.1
	tls @DIR@/tls.crt @DIR@/tls.key {
		curves x25519mlkem768 x25519
	}
}
"""
        command = ["caddy", "run", "--adapter", "caddyfile", "--config"]
        # It wants a home to write to.
        return self.configured("Caddyfile", text, command, {"GODEBUG": godebug, "HOME": "/tmp"})

    @contextlib.contextmanager
    def go(self, *more):
        if not shutil.which("go"):
            raise Skip("there is no Go")
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/main.go", "w", encoding="utf-8") as file:
                file.write(GO)
            subprocess.run(["go", "build", "-o", f"{folder}/server", "main.go"], cwd=folder, check=True)
            port = free_port()
            pair = [f"{self.outside}/tls.crt", f"{self.outside}/tls.key"]
            with started([f"{folder}/server", f"127.0.0.1:{port}", *pair, *more], port):
                yield port
