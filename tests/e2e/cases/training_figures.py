"""What TLS adds to gradients: `just training-figures`. Ranks of PyTorch (TRAINING_RANKS, two by default) all-reduce over
links of 1 Gbit/s, in plaintext, with classical and with hybrid key exchange, in another order in each round. Bytes are counted by the link's queue, headers of TCP and IP
included, after segmentation: counters of the interface count what the kernel has not cut into packets yet."""

import json
import os
import random
import re
import statistics
import subprocess

from gloo import torch_root
from harness import Skip, equal, run_cases
from pods import Pods, needs

ROUNDS = 4
RANKS = int(os.environ.get("TRAINING_RANKS", "2"))
GROUPS = {"classical-only": "X25519", "hybrid-required": "X25519MLKEM768"}
TIMES = 6

ALL_REDUCE = f"""
import os, time
import torch
import torch.distributed as dist

torch.set_num_threads(1)
dist.init_process_group("gloo", rank=int(os.environ["RANK"]), world_size={RANKS})
seconds, total = [], 0.0
for step in range({TIMES}):
    gradient = torch.full((16 << 20,), 1.0 + step + dist.get_rank())
    dist.barrier()
    begin = time.monotonic()
    dist.all_reduce(gradient)
    seconds.append(time.monotonic() - begin)
    total += gradient.double().sum().item()
print("result", total, *seconds, flush=True)
dist.barrier()
dist.destroy_process_group()
"""


def link_bytes(pods):
    """What the queues of both ends have sent."""
    shown = [json.loads(pod.run("tc", "-s", "-j", "qdisc", "show", "dev", "eth0")) for pod in pods.all]
    return sum(next(q["bytes"] for q in queues if q["kind"] == "tbf") for queues in shown)


def all_reduce(policy):
    """The sum, bytes of the link, and seconds of each all-reduce."""
    root = torch_root()
    with open(f"{root}/all_reduce.py", "w", encoding="utf-8") as file:
        file.write(ALL_REDUCE)
    with Pods(RANKS) as pods:
        for pod in pods.all:
            pod.run("tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "1gbit", "burst", "256kb", "latency", "100ms")
            if policy:
                pod.serve("socks5", policy)
                pod.proxychains(root)
        ranks = []
        for index, pod in enumerate(pods.all):
            env = {
                "RANK": str(index), "MASTER_ADDR": pods.all[0].four, "MASTER_PORT": "29500", "GLOO_SOCKET_IFNAME": "eth0",
                "OMP_NUM_THREADS": "1", "USE_LIBUV": "0", "HOME": "/", "PATH": os.environ["PATH"],
            }  # fmt: skip
            inside = f'mount -t proc proc {root}/proc; mount -t tmpfs tmpfs {root}/dev/shm; exec chroot {root} "$@"'
            chains = ["proxychains4", "-q", "-f", f"/proxychains-{pod.name}.conf"] if policy else []
            command = ["sh", "-c", inside, "sh", *chains, "python3", "/all_reduce.py"]
            ranks.append(pod.start(*command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        results = []
        for rank in ranks:
            out, errors = rank.communicate(timeout=120)
            assert rank.returncode == 0, errors[-2000:]
            results.append([float(word) for word in re.search(r"^result (.*)$", out, re.MULTILINE).group(1).split()])
        if policy:
            name = "hybridge_handshakes_total"
            total = sum(pod.metric(name, listener="out") for pod in pods.all)
            equal(sum(pod.metric(name, listener="out", group=GROUPS[policy]) for pod in pods.all), total)
        return results[0][0], link_bytes(pods), results[0][1:]


def case_figures():
    if not os.environ.get("TRAINING_FIGURES"):
        raise Skip("a measurement: just training-figures")
    needs("tc", "setpriv")
    variants = [None, *GROUPS]
    found = {variant: [] for variant in variants}
    for _ in range(ROUNDS):
        random.shuffle(variants)
        for variant in variants:
            found[variant].append(all_reduce(variant))
    equal(len({total for runs in found.values() for total, _, _ in runs}), 1)
    plain = statistics.median(count for _, count, _ in found[None])
    for variant, runs in found.items():
        count = statistics.median(count for _, count, _ in runs)
        added = count / plain - 1
        seconds = statistics.median(second for _, _, each in runs for second in each)
        print(f"     {variant or 'plain':16} {count:12.0f} bytes {added:+8.4%} {seconds:6.3f} s", flush=True)
        # Headers of records are 0.134 %; acknowledgements of TCP differ from run to run.
        assert abs(added) < 0.003, added


if __name__ == "__main__":
    run_cases(globals())
