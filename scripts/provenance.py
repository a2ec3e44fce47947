"""Where the files of a release come from: an in-toto statement 1 with SLSA provenance 1 about every file of SHA256SUMS,
in a DSSE envelope with an ECDSA signature (openssl makes and verifies it).

    provenance.py state FOLDER TARGETS PROFILE    writes the statement, FOLDER/provenance.json, where the files are built
    provenance.py sign FOLDER EC.KEY              makes FOLDER/provenance.intoto.jsonl of it
    provenance.py verify FOLDER EC.PUB            the signature, then every file by its hash

BUILDER names who built (a URI), SOURCE the repository."""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

STATEMENT = "provenance.json"
NAME = "provenance.intoto.jsonl"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def fail(message):
    sys.exit(f"FAIL provenance: {message}")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def checksums(folder):
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        yield name.lstrip("*"), digest


def statement(folder, targets, profile):
    commit = output("git", "rev-parse", "HEAD")
    # Without changes that the commit does not have; what only CI lays beside it does not count.
    changed = output("git", "status", "--porcelain", "--untracked-files=no")
    source = os.environ.get("SOURCE", "")
    files = [{"name": name, "digest": {"sha256": digest}} for name, digest in checksums(folder)]
    locked = hashlib.sha256(pathlib.Path("Cargo.lock").read_bytes()).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": files,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                # The type of build: scripts/release of this repository, whose parameters are below.
                "buildType": "urn:hybridge:scripts/release:v1",
                "externalParameters": {"targets": targets.split(), "profile": profile, "source": source, "commit": commit},
                "internalParameters": {"rustc": output("rustc", "--version"), "uncommittedChanges": bool(changed)},
                "resolvedDependencies": [
                    {**({"uri": f"git+{source}"} if source else {"name": "source"}), "digest": {"gitCommit": commit}},
                    {"name": "Cargo.lock", "digest": {"sha256": locked}},
                ],
            },
            "runDetails": {"builder": {"id": os.environ.get("BUILDER", "urn:hybridge:builder:unnamed")}},
        },
    }


def encoded(payload):
    """Pre-authentication encoding of DSSE 1."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def state(folder, targets, profile):
    (folder / STATEMENT).write_text(json.dumps(statement(folder, targets, profile), indent=1, sort_keys=True) + "\n")
    print(f"PASS provenance: {folder / STATEMENT}")


def check_statement(folder, said):
    """Every file that the statement is about is there and is what it says."""
    subjects = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
    if not subjects:
        fail("the statement is about no file")
    for name, digest in subjects.items():
        if "/" in name:
            fail(f"{name} is not a name in the folder")
        if not (folder / name).is_file():
            fail(f"{folder / name} is missing")
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            fail(f"{folder / name} is not the file that was built")


def sign(folder, key):
    payload = (folder / STATEMENT).read_bytes()
    check_statement(folder, json.loads(payload))
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=encoded(payload), capture_output=True)
    if made.returncode:
        fail(f"openssl cannot sign with {key}: {made.stderr.decode().strip()}")
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": "", "sig": base64.b64encode(made.stdout).decode()}],
    }
    (folder / NAME).write_text(json.dumps(envelope) + "\n")
    (folder / STATEMENT).unlink()
    print(f"PASS provenance: {folder / NAME}")


def verify(folder, key):
    try:
        envelope = json.loads((folder / NAME).read_text())
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
    except (ValueError, KeyError, TypeError, OSError) as error:
        fail(f"{folder / NAME} is not one DSSE envelope: {error}")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        fail(f"payloadType is {envelope.get('payloadType')!r}, not {PAYLOAD_TYPE}")
    with tempfile.NamedTemporaryFile() as file:
        def holds(signature):
            file.seek(0)
            file.truncate()
            file.write(signature)
            file.flush()
            command = ["openssl", "dgst", "-sha256", "-verify", key, "-signature", file.name]
            return subprocess.run(command, input=encoded(payload), capture_output=True).returncode == 0
        if not any(holds(signature) for signature in signatures):
            fail(f"no signature of {folder / NAME} is of {key}")
    said = json.loads(payload)
    check_statement(folder, said)
    commit = said["predicate"]["buildDefinition"]["externalParameters"]["commit"]
    print(f"PASS provenance: {len(said['subject'])} files, built from commit {commit}")


def main():
    match sys.argv[1:]:
        case ["state", folder, targets, profile]:
            state(pathlib.Path(folder), targets, profile)
        case ["sign", folder, key]:
            sign(pathlib.Path(folder), key)
        case ["verify", folder, key]:
            verify(pathlib.Path(folder), key)
        case _:
            sys.exit(__doc__)


main()
