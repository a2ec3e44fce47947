"""Four ranks of PyTorch, unmodified: gloo's connections through tunnels, redirected and by SOCKS5."""

import os
import re
import subprocess

from harness import Skip, equal, run_cases
from pods import Pods, needs

RANKS = 4

TRAIN = """
import os
import torch
import torch.distributed as dist

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
torch.manual_seed(7)
torch.set_num_threads(1)
dist.init_process_group("gloo", rank=rank, world_size=world)
gradient = torch.arange(1 << 18, dtype=torch.float64) * (rank + 1)
dist.all_reduce(gradient)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(256, 256))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(5):
    optimizer.zero_grad()
    model(torch.full((8, 256), 0.01 * (rank + 1) * (step + 1))).square().mean().backward()
    optimizer.step()
weights = sum(parameter.double().sum().item() for parameter in model.parameters())
print(f"checksum {gradient.sum().item():.0f} {weights:.9f}", flush=True)
dist.barrier()
dist.destroy_process_group()
"""


def torch_root():
    root = os.environ.get("TORCH_ROOT")
    if not root:
        raise Skip("no PyTorch: it is a download of 600 MB; E2E_TORCH=1 asks for it")
    return root


def train(pods, *prefix):
    """Runs a rank in each pod, and returns their checksums."""
    root = torch_root()
    with open(f"{root}/train.py", "w", encoding="utf-8") as file:
        file.write(TRAIN)
    # `ip netns exec` gives each command a mount namespace of its own.
    inside = f"mount -t proc proc {root}/proc; mount -t tmpfs tmpfs {root}/dev/shm; exec chroot {root} \"$@\""
    ranks = []
    for index, pod in enumerate(pods.all):
        settings = {
            "RANK": index, "WORLD_SIZE": RANKS, "MASTER_ADDR": pods.all[0].four, "MASTER_PORT": 29500,
            "GLOO_SOCKET_IFNAME": "eth0", "OMP_NUM_THREADS": 1, "USE_LIBUV": 0, "HOME": "/", "PATH": os.environ["PATH"],
        }  # fmt: skip
        settings = {name: str(value) for name, value in settings.items()}
        command = ["sh", "-c", inside, "sh", *[part.format(pod=pod) for part in prefix], "python3", "/train.py"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        ranks.append(pod.start(*command, env=settings, **pipes))
    checksums = set()
    for index, rank in enumerate(ranks):
        out, errors = rank.communicate(timeout=200)
        assert rank.returncode == 0, f"rank {index}: {rank.returncode}\n{out[-500:]}\n{errors[-2000:]}"
        checksums.add(re.search(r"^checksum (.*)$", out, re.MULTILINE).group(1))
    assert len(checksums) == 1, checksums
    return checksums.pop()


def tunnelled(capture, *prefix, redirect=False):
    needs("tcpdump", "setpriv", *(["nft"] if redirect else []))
    torch_root()
    with Pods(RANKS) as pods:
        plain = train(pods)
        for pod in pods.all:
            pod.serve(capture)
            if redirect:
                pod.redirect()
            else:
                pod.proxychains(torch_root())
        with pods.captured() as packets:
            equal(train(pods, *prefix), plain)
        equal(packets.strangers(), [])
        assert packets.tunnelled() > 100, packets.tunnelled()
        name = "hybridge_handshakes_total"
        total = sum(pod.metric(name, listener="out") for pod in pods.all)
        hybrid = sum(pod.metric(name, listener="out", group="X25519MLKEM768") for pod in pods.all)
        # One for each pair of ranks, and one of each rank but the first to the store.
        assert total >= RANKS * (RANKS - 1) / 2 + RANKS - 1, total
        equal(hybrid, total)
        print(f"     checksum {plain}, {total:.0f} connections, {packets.tunnelled()} packets", flush=True)


def case_four_ranks_of_gloo_redirected():
    tunnelled("redirect", redirect=True)


def case_four_ranks_of_gloo_by_socks5_and_proxychains():
    tunnelled("socks5", "proxychains4", "-q", "-f", "/proxychains-{pod.name}.conf")


if __name__ == "__main__":
    run_cases(globals())
