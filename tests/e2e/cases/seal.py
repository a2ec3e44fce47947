"""`hybridge seal`, `open`, `sign` and `verify` beside other implementations of their formats: Go's age, typage,
the OpenSSF's model_signing, Python's cryptography, OpenSSL."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

from harness import Skip, equal, run_cases
from peers import peer

SIZES = (0, 1, 65535, 65536, 65537, 131072, 200000, 1 << 20)


def run(*arguments, stdin=b"", code=0):
    ran = subprocess.run(arguments, input=stdin, capture_output=True, timeout=120)
    assert ran.returncode == code, f"{arguments}: {ran.returncode} {ran.stderr.decode()[-500:]}"
    return ran.stdout


def hybridge(*arguments, **more):
    return run(os.environ["HYBRIDGE_BIN"], *arguments, **more)


class Stage:
    """A directory with keys of both kinds and a model."""

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="hybridge-seal-")
        hybridge("keys", "seal", "--out", self / "id")
        hybridge("keys", "sign", "--out", self / "sign")
        os.makedirs(self / "model/weights")
        self.write("model/config.json", b"{}")
        self.write("model/a.txt", b"a")
        self.write("model/weights/a", os.urandom(200_000))
        self.write("model/weights/empty", b"")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)

    def __truediv__(self, name):
        return os.path.join(self.root, name)

    def write(self, name, content):
        with open(self / name, "wb") as file:
            file.write(content)

    def read(self, name):
        with open(self / name, "rb") as file:
            return file.read()


def age(name):
    program = os.path.join(os.environ.get("AGE_BIN", ""), name)
    if not os.environ.get("AGE_BIN"):
        raise Skip("no Go compiler to build age 1.3.1 with")
    return program


def case_gos_age_opens_ours_and_we_open_its():
    with Stage() as stage:
        keygen = age("age-keygen")
        equal(run(keygen, "-y", stage / "id/identity.txt"), stage.read("id/recipient.txt"))
        run(keygen, "-pq", "-o", stage / "go.txt")
        stage.write("go.pub", run(keygen, "-y", stage / "go.txt"))
        for size in SIZES:
            plain = os.urandom(size)
            stage.write("plain", plain)
            sealed = hybridge("seal", stage / "plain", "-", "-r", stage / "id/recipient.txt", "-r", stage / "go.pub")
            for identity in ("id/identity.txt", "go.txt"):
                equal(run(age("age"), "-d", "-i", stage / identity, stdin=sealed) == plain, True)
            sealed = run(age("age"), "-e", "-R", stage / "id/recipient.txt", stdin=plain)
            opened = hybridge("open", "-", "-", "-i", stage / "id/identity.txt", "--unsafe-unsigned", stdin=sealed)
            equal(opened == plain, True)


def case_a_hundred_recipients_and_none_left_after_rewrap():
    with Stage() as stage:
        keygen = age("age-keygen")
        identities = [stage / f"id-{number}" for number in range(100)]
        for identity in identities:
            run(keygen, "-pq", "-o", identity)
        stage.write("all", b"".join(run(keygen, "-y", identity) for identity in identities))
        hybridge("seal", stage / "model/a.txt", stage / "a.age", "-r", stage / "all")
        for identity in (identities[0], identities[99]):
            equal(run(age("age"), "-d", "-i", identity, stage / "a.age"), b"a")
        hybridge("rewrap", stage / "a.age", "-i", identities[50], "-r", stage / "id/recipient.txt")
        equal(run(age("age"), "-d", "-i", stage / "id/identity.txt", stage / "a.age"), b"a")
        run(age("age"), "-d", "-i", identities[50], stage / "a.age", code=1)
        hybridge("reseal", stage / "a.age", "-i", stage / "id/identity.txt", "-r", stage / "all")
        equal(run(age("age"), "-d", "-i", identities[7], stage / "a.age"), b"a")
        told = run(age("age-inspect"), stage / "a.age").decode()
        assert "This file uses post-quantum encryption" in told, told


TYPAGE = """
import * as age from "age-encryption";
import { readFileSync, writeFileSync } from "node:fs";
const [identity, recipient, sealed, plain, ours] = process.argv.slice(2);
const text = (file) => readFileSync(file, "utf8").split("\\n").find((line) => line && !line.startsWith("#"));
const d = new age.Decrypter();
d.addIdentity(text(identity));
const opened = await d.decrypt(readFileSync(sealed));
if (Buffer.compare(Buffer.from(opened), readFileSync(plain)) !== 0) throw new Error("not the plaintext");
const e = new age.Encrypter();
e.addRecipient(text(recipient));
writeFileSync(ours, await e.encrypt(readFileSync(plain)));
"""


def case_typage_opens_ours_and_we_open_its():
    modules = os.environ.get("TYPAGE")
    if not modules:
        raise Skip("no npm to install age-encryption with")
    script = os.path.join(modules, "case.mjs")
    with open(script, "w") as file:
        file.write(TYPAGE)
    with Stage() as stage:
        for size in SIZES:
            stage.write("plain", os.urandom(size))
            for name in ("plain.age", "theirs.age", "back"):
                if os.path.exists(stage / name):
                    os.remove(stage / name)
            hybridge("seal", stage / "plain", stage / "plain.age", "-r", stage / "id/recipient.txt")
            files = ("id/identity.txt", "id/recipient.txt", "plain.age", "plain", "theirs.age")
            run("node", script, *(stage / name for name in files))
            hybridge("open", stage / "theirs.age", stage / "back", "-i", stage / "id/identity.txt", "--unsafe-unsigned")
            equal(stage.read("back") == stage.read("plain"), True)


def model_signing(*arguments, code=0):
    try:
        import model_signing as _
    except ImportError:
        raise Skip("model-signing is not installed") from None
    return run(sys.executable, "-m", "model_signing", *arguments, code=code)


def case_model_signing_accepts_ours_and_we_accept_its():
    with Stage() as stage:
        hybridge("sign", stage / "model", "--key", stage / "sign/ec.key", "--pq-key", stage / "sign/mldsa.key")
        ours = ["verify", "key", stage / "model", "--signature", stage / "model/model.sig"]
        ours += ["--public_key", stage / "sign/ec.pub"]
        model_signing(*ours)
        stage.write("model/a.txt", b"b")
        model_signing(*ours, code=1)
        os.remove(stage / "model/model.sig")
        os.remove(stage / "model/model.sig.mldsa")
        theirs = ["sign", "key", stage / "model", "--signature", stage / "model/model.sig"]
        model_signing(*theirs, "--private_key", stage / "sign/ec.key")
        verify = ["verify", stage / "model", "--public-key", stage / "sign/ec.pub", "--only-classical"]
        hybridge(*verify)
        stage.write("model/a.txt", b"c")
        hybridge(*verify, code=1)


def case_model_signings_library_accepts_our_shards_and_we_accept_its():
    """Its command line verifies whole files only."""
    try:
        import model_signing as theirs
    except ImportError:
        raise Skip("model-signing is not installed") from None
    with Stage() as stage:
        os.remove(stage / "model/weights/empty")
        keys = ["--key", stage / "sign/ec.key", "--pq-key", stage / "sign/mldsa.key"]
        hybridge("sign", stage / "model", *keys, "--method", "shards", "--shard-size", "70000")
        verify = theirs.verifying.Config().use_elliptic_key_verifier(public_key=stage / "sign/ec.pub")
        verify.verify(stage / "model", stage / "model/model.sig")
        os.remove(stage / "model/model.sig")
        os.remove(stage / "model/model.sig.mldsa")
        shards = theirs.hashing.Config().use_shard_serialization(shard_size=70000)
        shards.set_ignored_paths(paths=["model.sig"])
        sign = theirs.signing.Config().use_elliptic_key_signer(private_key=stage / "sign/ec.key")
        sign.set_hashing_config(shards).sign(stage / "model", stage / "model/model.sig")
        hybridge("verify", stage / "model", "--public-key", stage / "sign/ec.pub", "--only-classical")


def case_a_model_that_was_sealed_and_opened_is_still_accepted():
    with Stage() as stage:
        hybridge("seal", stage / "model", stage / "sealed", "-r", stage / "id/recipient.txt", "--sign-with", stage / "sign")
        hybridge("open", stage / "sealed", stage / "out", "-i", stage / "id/identity.txt", "--verify-with", stage / "sign")
        model_signing("verify", "key", stage / "out", "--signature", stage / "out/model.sig", "--public_key", stage / "sign/ec.pub")


def signed(stage):
    """What the ML-DSA bundle signs, and its signature."""
    envelope = json.loads(stage.read("model/model.sig.mldsa"))["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    return message, base64.b64decode(envelope["signatures"][0]["sig"])


def sign(stage):
    hybridge("sign", stage / "model", "--key", stage / "sign/ec.key", "--pq-key", stage / "sign/mldsa.key")
    return signed(stage)


def case_pythons_cryptography_verifies_the_ml_dsa_signature():
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise Skip("cryptography is not installed") from None
    with Stage() as stage:
        message, signature = sign(stage)
        key = load_pem_public_key(stage.read("sign/mldsa.pub"))
        key.verify(signature, message)
        try:
            key.verify(signature, message + b" ")
        except InvalidSignature:
            return
        raise AssertionError("another message was accepted")


def case_openssl_verifies_the_ml_dsa_signature_and_its_keys_sign():
    with Stage() as stage:
        message, signature = sign(stage)
        stage.write("message", message)
        stage.write("signature", signature)
        files = [stage / name for name in ("message", "signature", "sign/mldsa.pub")]
        command = "openssl pkeyutl -verify -rawin -pubin -inkey /tmp/mldsa.pub -in /tmp/message -sigfile /tmp/signature"
        code, said = peer(command.split(), files)
        assert code == 0 and "Verified Successfully" in said, said
        code, said = peer(["openssl", "genpkey", "-algorithm", "ML-DSA-65"])
        equal(code, 0)
        stage.write("theirs.key", said[said.index("-----BEGIN") :].encode())
        os.chmod(stage / "theirs.key", 0o600)
        code, said = peer(["openssl", "pkey", "-in", "/tmp/theirs.key", "-pubout"], [stage / "theirs.key"])
        stage.write("theirs.pub", said[said.index("-----BEGIN") :].encode())
        keys = ["--key", stage / "sign/ec.key", "--pq-key", stage / "theirs.key", "--replace"]
        hybridge("sign", stage / "model", *keys)
        keys = ["--public-key", stage / "sign/ec.pub", "--pq-public-key", stage / "theirs.pub"]
        hybridge("verify", stage / "model", *keys)


run_cases(globals())
