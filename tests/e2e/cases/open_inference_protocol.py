"""MLServer behind the sidecar: the Open Inference Protocol over REST and over gRPC."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile

from harness import Skip, equal, eventually, free_port, listening, run_cases
from sidecar import ARTEFACTS, Sidecar

try:
    import grpc
    import mlserver
    from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc
except ImportError:
    mlserver = None

MODEL = '''
from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput


class Doubler(MLModel):
    """Answers each number with its double."""

    async def predict(self, payload):
        outputs = [
            ResponseOutput(name=i.name, shape=i.shape, datatype=i.datatype, data=[2 * v for v in i.data])
            for i in payload.inputs
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
'''


@contextlib.contextmanager
def model_server():
    """Ports of REST and gRPC of a running MLServer."""
    if mlserver is None:
        raise Skip("mlserver is not installed")
    rest, rpc, metrics = free_port(), free_port(), free_port()
    settings = {
        "host": "127.0.0.1",
        "http_port": rest,
        "grpc_port": rpc,
        "metrics_port": metrics,
        "parallel_workers": 0,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {
            "doubler.py": MODEL,
            "settings.json": json.dumps(settings),
            "model-settings.json": json.dumps({"name": "doubler", "implementation": "doubler.Doubler"}),
        }.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        command = [os.path.join(os.path.dirname(sys.executable), "mlserver"), "start", folder]
        with open(os.path.join(ARTEFACTS, "mlserver.log"), "ab") as log:
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            eventually("MLServer to listen", lambda: listening(rest) and listening(rpc), 120)
            yield rest, rpc
        finally:
            server.terminate()
            server.wait(30)


def case_inference_over_rest():
    with model_server() as (rest, _), Sidecar(f"127.0.0.1:{rest}") as sidecar:
        client = http.client.HTTPSConnection("localhost", sidecar.hybrid, context=sidecar.trust(), timeout=30)
        eventually("the model to be ready", lambda: ask(client, "GET", "/v2/models/doubler/ready")[0] == 200, 60)
        values = list(range(1000))
        tensor = {"name": "x", "shape": [1000], "datatype": "INT64", "data": values}
        status, answer = ask(client, "POST", "/v2/models/doubler/infer", {"inputs": [tensor]})
        equal(status, 200)
        equal(answer["outputs"][0]["data"], [2 * value for value in values])
        status, answer = ask(client, "GET", "/v2/models/nobody")
        equal(status, 404)


def ask(client, method, path, body=None):
    client.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
    answer = client.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else None


def case_inference_over_grpc():
    with model_server() as (_, rpc), Sidecar(f"127.0.0.1:{rpc}") as sidecar:
        with open(sidecar.ca, "rb") as ca:
            credentials = grpc.ssl_channel_credentials(ca.read())
        with grpc.secure_channel(f"localhost:{sidecar.hybrid}", credentials) as channel:
            stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)

            def ready():
                return stub.ModelReady(dataplane_pb2.ModelReadyRequest(name="doubler"), timeout=20).ready

            eventually("the model to be ready", ready, 60)
            tensor = dataplane_pb2.ModelInferRequest.InferInputTensor(
                name="x",
                datatype="INT64",
                shape=[3],
                contents=dataplane_pb2.InferTensorContents(int64_contents=[1, 2, 3]),
            )
            request = dataplane_pb2.ModelInferRequest(model_name="doubler", inputs=[tensor])
            answer = stub.ModelInfer(request, timeout=20)
            equal(list(answer.outputs[0].contents.int64_contents), [2, 4, 6])


run_cases(globals())
