"""Python's gRPC client through the sidecar to Python's gRPC server: every kind of call, trailers, cancel."""

import concurrent.futures
import contextlib
import threading

from harness import Skip, equal, eventually, run_cases
from sidecar import Sidecar

try:
    import grpc
except ImportError:
    grpc = None


class Service:
    """Bytes in, bytes out; no generated code."""

    def __init__(self):
        self.gone = threading.Event()

    def handlers(self):
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Tokens": grpc.unary_stream_rpc_method_handler(self.tokens),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Forever": grpc.unary_stream_rpc_method_handler(self.forever),
        }

    def unary(self, request, context):
        sent = dict(context.invocation_metadata())
        context.set_trailing_metadata((("x-trailer", "end"),))
        return request + b" " + sent["x-tls-key-exchange"].encode()

    def tokens(self, request, _):
        for index in range(int(request)):
            yield b"token %d" % index

    def chat(self, requests, _):
        for request in requests:
            yield request.upper()

    def fail(self, _, context):
        context.set_trailing_metadata((("x-reason", "no such model"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "model 'x' is not loaded")

    def forever(self, _, context):
        context.add_callback(self.gone.set)
        while context.is_active():
            yield b"."
            self.gone.wait(0.01)


@contextlib.contextmanager
def running():
    """Service, channel and sidecar."""
    if grpc is None:
        raise Skip("grpcio is not installed")
    service = Service()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("e2e.Model", service.handlers()),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Sidecar(f"127.0.0.1:{port}") as sidecar:
            with open(sidecar.ca, "rb") as ca:
                credentials = grpc.ssl_channel_credentials(ca.read())
            with grpc.secure_channel(f"localhost:{sidecar.hybrid}", credentials) as channel:
                yield service, channel, sidecar
    finally:
        server.stop(0)


def case_a_unary_call_with_trailers_and_the_group_it_came_by():
    with running() as (_, channel, sidecar):
        answer, call = channel.unary_unary("/e2e.Model/Unary").with_call(b"hello", timeout=20)
        text, group = answer.split(b" ")
        equal(text, b"hello")
        equal(dict(call.trailing_metadata())["x-trailer"], "end")
        equal(sidecar.metric("hybridge_handshakes_total", listener="hybrid", group=group.decode()), 1)
        eventually("the call to be counted", lambda: sidecar.metric("hybridge_requests_total", protocol="grpc", code="OK") or
                   sidecar.metric("hybridge_requests_total", protocol="grpc", code="0"))


def case_a_stream_of_tokens_and_a_conversation():
    with running() as (_, channel, _sidecar):
        tokens = list(channel.unary_stream("/e2e.Model/Tokens")(b"500", timeout=20))
        equal((len(tokens), tokens[-1]), (500, b"token 499"))
        asked, answers = ["a", "b", "c"], []
        turn = threading.Semaphore(1)

        def questions():
            for word in asked:
                turn.acquire()  # the next is asked once the last was answered
                yield word.encode()

        for answer in channel.stream_stream("/e2e.Model/Chat")(questions(), timeout=20):
            answers.append(answer)
            turn.release()
        equal(answers, [b"A", b"B", b"C"])


def case_a_large_message_crosses_both_ways():
    with running() as (_, channel, _sidecar):
        message = bytes(3 << 20)
        echoed = channel.unary_unary("/e2e.Model/Unary")(message, timeout=30)
        assert echoed.startswith(message)


def case_an_error_keeps_its_status_message_and_trailers():
    with running() as (_, channel, _sidecar):
        try:
            channel.unary_unary("/e2e.Model/Fail")(b"", timeout=20)
        except grpc.RpcError as error:
            equal(error.code(), grpc.StatusCode.NOT_FOUND)
            equal(error.details(), "model 'x' is not loaded")
            equal(dict(error.trailing_metadata())["x-reason"], "no such model")
        else:
            raise AssertionError("the call did not fail")


def case_a_cancelled_call_is_noticed_by_the_server():
    with running() as (service, channel, _sidecar):
        call = channel.unary_stream("/e2e.Model/Forever")(b"")
        next(call)
        call.cancel()
        assert service.gone.wait(10), "the server went on"


def case_a_server_that_is_down_is_unavailable():
    with running() as (_, _, _), Sidecar("127.0.0.1:9") as sidecar:
        with open(sidecar.ca, "rb") as ca:
            credentials = grpc.ssl_channel_credentials(ca.read())
        with grpc.secure_channel(f"localhost:{sidecar.hybrid}", credentials) as channel:
            try:
                channel.unary_unary("/e2e.Model/Unary")(b"", timeout=20)
            except grpc.RpcError as error:
                equal(error.code(), grpc.StatusCode.UNAVAILABLE)
            else:
                raise AssertionError("the call did not fail")


run_cases(globals())
