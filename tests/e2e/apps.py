"""Inference servers to stand behind the sidecar, in threads of the case's own process."""

import contextlib
import http.server
import socket
import threading


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with a page that states how the connection was keyed, and the length of the body it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(0)

    def do_POST(self):
        left = length = int(self.headers.get("content-length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self.answer(length)

    def answer(self, length):
        group = self.headers.get("x-tls-key-exchange", "none")
        page = f"<!doctype html><title>echo</title><p>group {group}</p><p>body {length}</p>\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


class EchoServer(http.server.ThreadingHTTPServer):
    """Python's default queue of 5 drops connections under load."""

    request_queue_size = 1024


@contextlib.contextmanager
def echo(handler=Echo):
    """The address of a running `Echo`."""
    server = EchoServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextlib.contextmanager
def asgi(app):
    """The address of a uvicorn that serves an ASGI application."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1:%d" % listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
