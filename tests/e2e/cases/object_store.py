"""Checkpoints to an object store by boto3 and rclone: their signatures (SigV4 signs the host) are verified behind an egress with a fixed
target and behind a forward proxy, over TLS between two sidecars."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from egress import egress, running
from harness import Skip, equal, free_port, run_cases
from sidecar import ARTEFACTS, Sidecar

MIB = 1 << 20
SIZE = 24 * MIB + 12345
# Calls that need no signature: those that make the user.
SETUP_CALLS = 3
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
# Proxies and CAs of this machine are none of the clients' here.
FOREIGN = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "AWS_CA_BUNDLE")


def needs_boto3():
    try:
        import boto3  # noqa: F401
        import moto  # noqa: F401
    except ImportError as missing:
        raise Skip(f"no {missing.name} here") from missing
    for name in FOREIGN:
        os.environ.pop(name, None)


@contextlib.contextmanager
def store():
    """moto, which verifies signatures once a user is made; its port and that user's key."""
    import boto3

    port = free_port()
    env = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(SETUP_CALLS)}
    log = tempfile.mktemp(prefix="moto-", suffix=".log", dir=ARTEFACTS)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(log, "wb") as out, running(command, port, env=env, stdout=out, stderr=out):
        nobody = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        iam = boto3.client("iam", endpoint_url=f"http://127.0.0.1:{port}", **nobody)
        iam.create_user(UserName="trainer")
        iam.put_user_policy(UserName="trainer", PolicyName="all", PolicyDocument=POLICY)
        key = iam.create_access_key(UserName="trainer")["AccessKey"]
        yield port, key


def checkpoint(key, endpoint, proxies=None, secret=None):
    """Writes a checkpoint in parts and reads it again."""
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, proxies=proxies, retries={"max_attempts": 1})
    client = boto3.client(
        "s3", endpoint_url=endpoint, config=config, region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=secret or key["SecretAccessKey"],
    )  # fmt: skip
    parts = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
    content = os.urandom(SIZE)
    client.create_bucket(Bucket="checkpoints")
    with tempfile.TemporaryDirectory() as folder:
        written, read = f"{folder}/written", f"{folder}/read"
        with open(written, "wb") as file:
            file.write(content)
        client.upload_file(written, "checkpoints", "step 7/model+optimizer.pt", Config=parts)
        client.download_file("checkpoints", "step 7/model+optimizer.pt", read, Config=parts)
        with open(read, "rb") as file:
            equal(hashlib.sha256(file.read()).hexdigest(), hashlib.sha256(content).hexdigest())
    return client


def signatures_are_verified(key, endpoint, proxies=None):
    from botocore.exceptions import ClientError

    try:
        checkpoint(key, endpoint, proxies, secret="wrong")
    except ClientError as error:
        equal(error.response["Error"]["Code"], "SignatureDoesNotMatch")
    else:
        raise AssertionError("a wrong signature was accepted")


def hybrid_only(metric):
    name = "hybridge_handshakes_total{"
    hybrid = metric(name + 'group="X25519MLKEM768"')
    assert hybrid > 0
    equal(metric(name), hybrid)
    return hybrid


def versioned_bucket(key, port):
    """moto calls the version of an object in another bucket `null`, and does not know it when rclone asks for it."""
    import boto3

    whose = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **whose)
    client.create_bucket(Bucket="checkpoints")
    client.put_bucket_versioning(Bucket="checkpoints", VersioningConfiguration={"Status": "Enabled"})


def rclone(key, endpoint, secret, *arguments):
    """Exit code and standard error of rclone with a remote `store`."""
    remote = {
        "TYPE": "s3", "PROVIDER": "Other", "REGION": "us-east-1", "ENDPOINT": endpoint, "FORCE_PATH_STYLE": "true",
        "ACCESS_KEY_ID": key["AccessKeyId"], "SECRET_ACCESS_KEY": secret or key["SecretAccessKey"],
    }  # fmt: skip
    env = os.environ | {f"RCLONE_CONFIG_STORE_{name}": value for name, value in remote.items()}
    few = ("--retries", "1", "--low-level-retries", "1", "--s3-chunk-size", "5M", "--s3-upload-cutoff", "5M")
    command = ["rclone", "--config", os.devnull, *few, *arguments]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stderr


def case_rclone_copies_a_checkpoint_and_checks_it():
    needs_boto3()
    if not shutil.which("rclone"):
        raise Skip("no rclone here")
    with store() as (port, key), Sidecar(f"127.0.0.1:{port}") as server, tempfile.TemporaryDirectory() as folder:
        for name, size in (("model.pt", SIZE), ("step 7+1.json", 100)):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(os.urandom(size))
        versioned_bucket(key, port)
        listen = free_port()
        entry = f"store=127.0.0.1:{listen}->localhost:{server.hybrid}"
        with egress(server.ca, "--egress", entry, "--egress-protocol", "http") as metric:
            endpoint, there = f"http://127.0.0.1:{listen}", "store:checkpoints/run 1"
            code, said = rclone(key, endpoint, None, "copy", folder, there)
            equal((code, said if code else ""), (0, ""))
            # Every byte of both sides.
            code, said = rclone(key, endpoint, None, "check", "--download", folder, there)
            assert code == 0 and "0 differences found" in said and "2 matching files" in said, said
            code, said = rclone(key, endpoint, "wrong", "copy", folder, "store:checkpoints/run 2")
            assert code and "SignatureDoesNotMatch" in said, said
            print(f"     {hybrid_only(metric):.0f} connections", flush=True)


def case_a_checkpoint_through_an_egress_to_one_target():
    needs_boto3()
    with store() as (port, key), Sidecar(f"127.0.0.1:{port}") as server:
        listen = free_port()
        entry = f"store=127.0.0.1:{listen}->localhost:{server.hybrid}"
        with egress(server.ca, "--egress", entry, "--egress-protocol", "http") as metric:
            endpoint = f"http://127.0.0.1:{listen}"
            client = checkpoint(key, endpoint)
            full = hybrid_only(metric)
            requests = metric("hybridge_requests_total{")
            client.head_bucket(Bucket="checkpoints")
            answered = client.list_objects_v2(Bucket="checkpoints")["ResponseMetadata"]["HTTPHeaders"]
            equal(answered["x-tls-key-exchange"], "X25519MLKEM768")
            signatures_are_verified(key, endpoint)
            print(f"     {full:.0f} connections for {requests:.0f} requests", flush=True)


def case_a_checkpoint_through_a_forward_proxy():
    needs_boto3()
    with store() as (port, key), Sidecar(f"127.0.0.1:{port}") as server:
        listen = free_port()
        arguments = ["--egress-name", "proxy", "--egress-listen", f"127.0.0.1:{listen}", "--egress-capture", "http-proxy"]
        arguments += ["--egress-targets-allowed", f"localhost:{server.hybrid}"]
        with egress(server.ca, *arguments) as metric:
            # The name and the port that are signed are the server's own.
            endpoint, proxies = f"http://localhost:{server.hybrid}", {"http": f"http://127.0.0.1:{listen}"}
            checkpoint(key, endpoint, proxies)
            hybrid_only(metric)
            signatures_are_verified(key, endpoint, proxies)


if __name__ == "__main__":
    run_cases(globals())
