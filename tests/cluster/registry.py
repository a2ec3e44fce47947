"""A registry that asks for a password, on this network namespace's loopback: containerd pulls from it as from any."""

import base64
import hashlib
import http.server
import json
import threading

PORT = 5000
USER, PASSWORD = "kubelet", "of-this-test"


class Registry:
    """Serves one image, by any name and tag; `refused` counts requests without the password."""

    def __init__(self, image):
        configuration, layer = image
        self.blobs = {_digest(each): each for each in image}
        part = lambda kind, data: {"mediaType": f"application/vnd.oci.image.{kind}", "digest": _digest(data), "size": len(data)}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": part("config.v1+json", configuration), "layers": [part("layer.v1.tar", layer)],
        }).encode()
        self.refused, self.served = 0, 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def find(self, path):
        """Type and bytes of what a path names, or None."""
        if path == "/v2/":
            return "application/json", b"{}"
        kind, _, reference = path.rpartition("/")
        if kind.endswith("/manifests") and reference in (_digest(self.manifest), "private"):
            return "application/vnd.oci.image.manifest.v1+json", self.manifest
        if kind.endswith("/blobs") and reference in self.blobs:
            return "application/octet-stream", self.blobs[reference]
        return None

    def _handler(registry):
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.headers.get("authorization") != expected:
                    registry.refused += 1
                    return self.say(401, "application/json", b"{}", {"www-authenticate": 'Basic realm="registry"'})
                found = registry.find(self.path.partition("?")[0])
                if not found:
                    return self.say(404, "application/json", b"{}")
                registry.served += 1
                self.say(200, *found, {"docker-content-digest": _digest(found[1])})

            do_HEAD = do_GET

            def say(self, status, kind, body, more=()):
                self.send_response(status)
                for name, value in {"content-type": kind, "content-length": str(len(body)), **dict(more)}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    # containerd resets what it keeps idle.
                    pass

        return Handler


def secret(namespace, name="registry"):
    """What `kubectl create secret docker-registry` makes."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = json.dumps({"auths": {f"localhost:{PORT}": {"username": USER, "password": PASSWORD, "auth": auth}}})
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": namespace},
            "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()}}


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()
