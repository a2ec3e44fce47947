"""The example of a training job as it is written, injected: each rank's sidecar gets the variables and files that the
injector gives it, and PyTorch is started by the example's own script."""

import os
import pathlib
import re
import subprocess

import yaml

from gloo import RANKS, TRAIN, torch_root
from harness import equal, run_cases
from pods import BINARY, USER, Pods, needs, pem, run

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "k8s/examples/training"
ADMIN = 15400
FILES = "/etc/hybridge/tls"
IDENTITY = "spiffe://train.example/ns/ml/sa/train"


def injected(name):
    """The sidecar of the example and the sources of its volume, in the network of these pods."""
    text = (EXAMPLES / name).read_text(encoding="utf-8").replace("10.244.0.0/16", "10.77.0.0/24")
    text = run(BINARY, "inject", "-f", "-", input=text)
    workload = next(o for o in yaml.safe_load_all(text) if o["kind"] != "Service")
    template = workload["spec"]
    template = template["replicatedJobs"][0]["template"]["spec"] if "replicatedJobs" in template else template
    if roles := template.get("pytorchReplicaSpecs"):
        equal(roles["Master"]["template"], roles["Worker"]["template"])
        template = roles["Master"]
    spec = template["template"]["spec"]
    volume = next(v for v in spec["volumes"] if v["name"] == "hybridge-tls")
    return spec["initContainers"][0], spec["containers"][0], volume["projected"]["sources"]


class Ranks(Pods):
    def __init__(self, name):
        super().__init__(RANKS)
        self.sidecar, self.app, self.sources = injected(name)

    def start_sidecar(self, pod, secret):
        folder = pathlib.Path(self.dir) / f"{pod.name}-tls"
        folder.mkdir()
        for source in self.sources:
            equal(source["secret"]["name"], "train-tls")
            for item in source["secret"]["items"]:
                path = folder / item["path"]
                path.write_bytes(secret[item["key"]])
                os.chown(path, USER, USER)
        env = {e["name"]: e.get("value", pod.four).replace(FILES, str(folder)) for e in self.sidecar["env"]}
        pod.sidecar_runs(env=env)

    def start_rank(self, pod, index):
        """The trainer's own variables; the pod's name is its host name."""
        root = torch_root()
        env = {e["name"]: e.get("value", pod.four) for e in self.app["env"]}
        env |= {"MASTER_ADDR": self.all[0].four, "HOSTNAME": f"train-{index}"}
        if self.app["name"] == "pytorch":
            # As Kubeflow's operator sets them; the names of its pods say nothing of ranks.
            env |= {"MASTER_PORT": "23456", "WORLD_SIZE": str(RANKS), "RANK": str(index), "HOSTNAME": "train-worker-0"}
        env |= {"OMP_NUM_THREADS": "1", "USE_LIBUV": "0", "HOME": "/", "PATH": os.environ["PATH"]}
        # The mounts are this command's own, so that each rank has a /tmp.
        mounts = f"mount -t proc proc {root}/proc; mount -t tmpfs tmpfs {root}/dev/shm; mount -t tmpfs tmpfs {root}/tmp"
        inside = f'{mounts}; exec chroot {root} "$@"'
        command = ["sh", "-c", inside, "sh", "sh", "/rank.sh"]
        return pod.start(*command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train(name):
    needs("setpriv")
    root = pathlib.Path(torch_root())
    script = yaml.safe_load((EXAMPLES / "rank.yaml").read_text(encoding="utf-8"))["data"]["rank.sh"]
    (root / "rank.sh").write_text(script, encoding="utf-8")
    (root / "work").mkdir(exist_ok=True)
    (root / "work/train.py").write_text(TRAIN, encoding="utf-8")
    python = root / "usr/local/bin/python"
    if not python.is_symlink():
        python.symlink_to("/usr/bin/python3")
    with Ranks(name) as ranks:
        certificate, key = ranks.authority.issue(IDENTITY)
        secret = {"ca.crt": pem(ranks.authority.certificate), "tls.crt": pem(certificate), "tls.key": pem(key)}
        for pod in ranks.all:
            ranks.start_sidecar(pod, secret)
        started = [ranks.start_rank(pod, index) for index, pod in enumerate(ranks.all)]
        checksums = set()
        for index, rank in enumerate(started):
            out, errors = rank.communicate(timeout=200)
            assert rank.returncode == 0, f"rank {index}: {rank.returncode}\n{out[-500:]}\n{errors[-2000:]}"
            checksums.add(re.search(r"^checksum (.*)$", out, re.MULTILINE).group(1))
        equal(len(checksums), 1)
        name = "hybridge_handshakes_total"
        total = sum(pod.metric(name, ADMIN, listener="peers") for pod in ranks.all)
        hybrid = sum(pod.metric(name, ADMIN, listener="tunnel", group="X25519MLKEM768") for pod in ranks.all)
        assert total >= RANKS * (RANKS - 1) / 2 + RANKS - 1, total
        equal(hybrid, total)
        print(f"     {total:.0f} connections", flush=True)


def case_a_stateful_set():
    train("statefulset.yaml")


def case_an_indexed_job():
    train("indexed-job.yaml")


def case_a_job_set():
    train("jobset.yaml")


def case_a_py_torch_job():
    train("pytorchjob.yaml")


if __name__ == "__main__":
    run_cases(globals())
