"""A uvicorn application that streams tokens (server-sent events): each at once, and an end it notices."""

import asyncio
import http.client
import threading
import time

from apps import asgi
from harness import Skip, equal, run_cases
from sidecar import Sidecar

try:
    import uvicorn  # noqa: F401: the application server of these cases
except ImportError:
    uvicorn = None


class Tokens:
    """`/count` sends ten tokens, each when it is told to; `/forever` until its client is gone."""

    def __init__(self):
        self.go = threading.Semaphore(0)
        self.gone = threading.Event()

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/count":
            for index in range(10):
                while not self.go.acquire(blocking=False):
                    await asyncio.sleep(0.002)
                await self.token(send, index)
            await send({"type": "http.response.body", "body": b""})
        else:
            await receive()
            waiting = asyncio.ensure_future(receive())
            while not waiting.done():
                await self.token(send, 0)
                await asyncio.sleep(0.01)
            if waiting.result()["type"] == "http.disconnect":
                self.gone.set()

    @staticmethod
    async def token(send, index):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % index, "more_body": True})


def connect(sidecar):
    if uvicorn is None:
        raise Skip("uvicorn is not installed")
    return http.client.HTTPSConnection("localhost", sidecar.hybrid, context=sidecar.trust(), timeout=20)


def serving(app):
    if uvicorn is None:
        raise Skip("uvicorn is not installed")
    return asgi(app)


def case_each_token_arrives_before_the_next_is_made():
    tokens = Tokens()
    with serving(tokens) as app, Sidecar(app) as sidecar:
        client = connect(sidecar)
        client.request("GET", "/count")
        answer = client.getresponse()
        equal(answer.headers["content-type"], "text/event-stream")
        for index in range(10):
            tokens.go.release()
            equal(answer.readline(), b"data: %d\n" % index)
            equal(answer.readline(), b"\n")
        equal(answer.read(), b"")


def case_an_application_notices_a_client_that_goes_away():
    tokens = Tokens()
    with serving(tokens) as app, Sidecar(app) as sidecar:
        client = connect(sidecar)
        client.request("GET", "/forever")
        answer = client.getresponse()
        answer.readline()
        begin = time.monotonic()
        client.sock.close()
        answer.close()
        assert tokens.gone.wait(10), "the application went on"
        print(f"noticed after {1000 * (time.monotonic() - begin):.0f} ms", flush=True)


run_cases(globals())
