#!/usr/bin/env python3
"""Sums the stacks of `perf script -F ip,sym,dso` into a line of a table: SCENARIO RESULTS, or --head."""
import json
import re
import sys

# The first that matches the innermost frame, or for the kernel any frame, names the share.
SYSTEM_CALLS = [
    ("send", r"__(x64_)?sys_(sendto|sendmsg|write|writev)$|^(do|ksys|vfs)_writev?$"),
    ("receive", r"__(x64_)?sys_(recvfrom|recvmsg|read|readv)$"),
    ("wait", r"__(x64_)?sys_epoll_(p)?wait"),
]
USER = [
    # C and assembly: a Rust path may hold any of these words, such as `share`.
    ("crypto", r"^(?!.*::).*(aws_lc|aes|gcm|sha|keccak|curve25519|ecp_|p256|p384|fiat|mlkem|poly|BN_|bn_|EC_|HMAC|EVP|CRYPTO|RAND)"),
    ("TLS", r"rustls|hybridge::tls"),
    ("HTTP", r"hybridge::proxy|httparse|^h2|::h2::|<h2|http::|hpack"),
    ("runtime", r"tokio|mio::|futures|worker|scheduler"),
    ("memory", r"^_?mi_|mem(move|cpy|set)|bytes::|malloc|free$"),
]
SHARES = ["send", "receive", "wait", "other kernel", "crypto", "TLS", "HTTP", "runtime", "memory", "other"]


def share(stack):
    symbol, dso = stack[0]
    if "kernel" in dso or dso.startswith("[k"):
        for name, pattern in SYSTEM_CALLS:
            if any(re.search(pattern, frame) for frame, _ in stack):
                return name
        return "other kernel"
    if dso == "[vdso]":
        return "other"
    for name, pattern in USER:
        if re.search(pattern, symbol):
            return name
    return "other"


def stacks(lines):
    stack = []
    for line in lines:
        found = re.match(r"\s+[0-9a-f]+ (.*) \((.*)\)$", line.rstrip())
        if found:
            stack.append((found[1], found[2]))
        elif stack:
            yield stack
            stack = []
    if stack:
        yield stack


def cost(path):
    """Microseconds of the server for an operation, a token or a MiB."""
    case = json.load(open(path))["cases"][0]
    name = case["case"]["scenario"]
    seconds = sum(block["server_cpu_s"] for block in case["blocks"])
    if name == "token-stream":
        return seconds * 1e6 / sum(block["units"] for block in case["blocks"])
    if name in ("upload", "download"):
        plain = sum(block["bytes"]["plain_up"] + block["bytes"]["plain_down"] for block in case["blocks"])
        return seconds * 1e6 / (plain / 2**20)
    return seconds * 1e6 / sum(block["ops"] for block in case["blocks"])


if sys.argv[1] == "--head":
    print("| scenario | us | " + " | ".join(SHARES) + " |")
    print("|---|" + "---:|" * (len(SHARES) + 1))
else:
    counts = dict.fromkeys(SHARES, 0)
    for stack in stacks(sys.stdin):
        counts[share(stack)] += 1
    total = sum(counts.values())
    if not total:
        sys.exit(f"{sys.argv[1]}: perf saw nothing")
    shares = " | ".join(f"{counts[name] * 100 / total:.0f}" for name in SHARES)
    print(f"| {sys.argv[1]} | {cost(sys.argv[2]):.1f} | {shares} |", flush=True)
