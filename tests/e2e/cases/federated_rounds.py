"""Rounds of federated learning by Flower, unmodified: two SuperNodes reach their SuperLink through egresses of their own, as in
the pods of two hospitals. And by its older API, over gRPC."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile

from egress import egress
from harness import Skip, equal, eventually, free_port, listening, run_cases
from sidecar import ARTEFACTS, Sidecar

ROUNDS = 3
# What each client adds to the weights, in each round.
ADDS = (1, 3)

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "rounds"
version = "1.0.0"
dependencies = []
[tool.flwr.app]
publisher = "test"
[tool.flwr.app.components]
serverapp = "rounds.server:app"
clientapp = "rounds.client:app"
"""

# Where `flwr run` finds the SuperLink: ~/.flwr/config.toml.
CONNECTION = """
[superlink]
default = "here"
[superlink.here]
address = "127.0.0.1:{port}"
insecure = true
"""

SERVER = f"""
import numpy
from flwr.app import ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid, context):
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    result = strategy.start(grid=grid, initial_arrays=ArrayRecord([numpy.zeros(1 << 20)]), num_rounds={ROUNDS})
    weights = result.arrays.to_numpy_ndarrays()[0]
    print("FINAL", weights.min(), weights.max(), flush=True)
"""

CLIENT = """
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    weights = message.content["arrays"].to_numpy_ndarrays()[0] + context.node_config["adds"]
    content = {"arrays": ArrayRecord([weights]), "metrics": MetricRecord({"num-examples": 1})}
    return Message(content=RecordDict(content), reply_to=message)
"""


OLD_SERVER = f"""
import sys
import numpy
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg


class Last(FedAvg):
    def aggregate_fit(self, *arguments):
        result = super().aggregate_fit(*arguments)
        self.last = parameters_to_ndarrays(result[0])[0]
        return result


begin = ndarrays_to_parameters([numpy.zeros(1 << 20)])
strategy = Last(fraction_evaluate=0.0, min_fit_clients=2, min_available_clients=2, initial_parameters=begin)
start_server(server_address=sys.argv[1], config=ServerConfig(num_rounds={ROUNDS}), strategy=strategy)
print("FINAL", strategy.last.min(), strategy.last.max(), flush=True)
"""

OLD_CLIENT = """
import sys
from flwr.client import NumPyClient, start_client


class Adds(NumPyClient):
    def fit(self, parameters, config):
        return [parameters[0] + float(sys.argv[2])], 1, {}


start_client(server_address=sys.argv[1], client=Adds().to_client(), insecure=True)
"""


class Flower:
    def __init__(self, folder):
        self.folder = folder
        bins = os.environ["FLOWER"]
        self.bins = bins
        self.env = {"HOME": folder, "PATH": f"{bins}:{os.environ['PATH']}", "FLWR_TELEMETRY_ENABLED": "0"}

    @contextlib.contextmanager
    def running(self, program, *arguments):
        log = tempfile.mktemp(prefix=f"{program}-", suffix=".log", dir=ARTEFACTS)
        with open(log, "wb") as out:
            command = [f"{self.bins}/{program}", "--insecure", *arguments]
            process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()

    def train(self, port):
        project = pathlib.Path(self.folder) / "app"
        (project / "rounds").mkdir(parents=True)
        for name, text in (("__init__", ""), ("server", SERVER), ("client", CLIENT)):
            (project / f"rounds/{name}.py").write_text(text, encoding="utf-8")
        (project / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
        settings = pathlib.Path(self.folder) / ".flwr"
        settings.mkdir(exist_ok=True)
        (settings / "config.toml").write_text(CONNECTION.format(port=port), encoding="utf-8")
        command = [f"{self.bins}/flwr", "run", str(project), "here", "--stream"]
        ran = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=180, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
        return ran.stdout


def case_three_rounds_of_two_clients():
    if not os.environ.get("FLOWER"):
        raise Skip("no Flower: E2E_FLOWER=1 asks for it")
    with contextlib.ExitStack() as stack:
        flower = Flower(stack.enter_context(tempfile.TemporaryDirectory(prefix="hybridge-flower-", ignore_cleanup_errors=True)))
        port = free_port()
        link = ("--host", "127.0.0.1", "--port", str(port), "--disable-runtime-dependency-installation")
        superlink = stack.enter_context(flower.running("flower-superlink", *link))
        eventually("the SuperLink to listen", lambda: listening(port) or superlink.poll() is not None, 60)
        server = stack.enter_context(Sidecar(f"127.0.0.1:{port}", options='protocol = "tcp"'))
        metrics = []
        for adds in ADDS:
            listen = free_port()
            entry = f"superlink=127.0.0.1:{listen}->localhost:{server.hybrid}"
            metrics.append(stack.enter_context(egress(server.ca, "--egress", entry)))
            node = ("--superlink", f"127.0.0.1:{listen}", "--port", str(free_port()), "--node-config", f"adds={adds}")
            stack.enter_context(flower.running("flower-supernode", *node))
        said = flower.train(port)
        expected = float(ROUNDS * sum(ADDS) / len(ADDS))
        assert f"FINAL {expected} {expected}" in said, said[-2000:]
        # Each client got the weights of 8 MiB in each round, and sent as many.
        for metric in metrics:
            name = "hybridge_handshakes_total{"
            equal(metric(name), metric(name + 'group="X25519MLKEM768"'))
            for direction in ("in", "out"):
                assert metric(f'hybridge_payload_bytes_total{{direction="{direction}"') > ROUNDS * (8 << 20)
        print(f"     {server.metric('hybridge_handshakes_total', group='X25519MLKEM768'):.0f} connections", flush=True)


def case_the_older_api_over_grpc_by_the_environment_alone():
    """The client names the server's own address; gRPC asks the egress for it by CONNECT."""
    if not os.environ.get("FLOWER"):
        raise Skip("no Flower: E2E_FLOWER=1 asks for it")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hybridge-flower-", ignore_cleanup_errors=True))
        env = Flower(folder).env
        python = f"{os.environ['FLOWER']}/python"

        def start(text, *arguments, **more):
            command = [python, "-c", text, *map(str, arguments)]
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, env=env | more, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True)
            stack.callback(process.kill)
            return process

        port = free_port()
        started = start(OLD_SERVER, f"127.0.0.1:{port}")
        eventually("the server to listen", lambda: listening(port) or started.poll() is not None, 60)
        server = stack.enter_context(Sidecar(f"127.0.0.1:{port}", options='protocol = "tcp"'))
        metrics, clients = [], []
        for adds in ADDS:
            listen = free_port()
            arguments = ["--egress-name", "proxy", "--egress-listen", f"127.0.0.1:{listen}", "--egress-capture", "http-proxy"]
            arguments += ["--egress-targets-allowed", f"localhost:{server.hybrid}"]
            metrics.append(stack.enter_context(egress(server.ca, *arguments)))
            clients.append(start(OLD_CLIENT, f"localhost:{server.hybrid}", adds, grpc_proxy=f"http://127.0.0.1:{listen}"))
        said = started.communicate(timeout=120)[0]
        expected = float(ROUNDS * sum(ADDS) / len(ADDS))
        assert f"FINAL {expected} {expected}" in said, said[-2000:]
        for client in clients:
            said = client.communicate(timeout=60)[0]
            equal((client.returncode, said[-2000:] if client.returncode else ""), (0, ""))
        for metric in metrics:
            name = "hybridge_handshakes_total{"
            equal(metric(name), metric(name + 'group="X25519MLKEM768"'))
            for direction in ("in", "out"):
                assert metric(f'hybridge_payload_bytes_total{{direction="{direction}"') > ROUNDS * (8 << 20)


if __name__ == "__main__":
    run_cases(globals())
