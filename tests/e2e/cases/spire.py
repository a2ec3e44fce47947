"""SPIRE's server and agent give certificate, key and bundles: who is served, rotation of SVIDs and of the CA, federation, withdrawal."""

import contextlib
import hashlib
import tempfile
import urllib.error

from agents import Spire, names, request
from apps import echo
from harness import equal, eventually, run_cases
from sidecar import Sidecar

SERVED = "HTTP/1.1 200 OK"
RULE = "/ns/ai/**"

LISTENER = """
[[listener]]
name = "{name}"
listen = "127.0.0.1:0"
upstream = "{upstream}"
[listener.tls]
spiffe = "unix:{socket}"
spiffe-hint = "server"
{clients}
"""


class Workload(Sidecar):
    """`hybridge run` with two listeners and not one file: `hybrid` asks for certificates, `classical` does not."""

    def __init__(self, spire, upstream, *rules):
        self.folder = tempfile.TemporaryDirectory(prefix="hybridge-e2e-")
        self.dir = self.folder.name
        allowed = ", ".join(f'"{rule}"' for rule in rules)
        asking = f'client-auth = "required"\nallow-uri = [{allowed}]'
        config = '[admin]\nlisten = "127.0.0.1:0"\n[drain]\ndelay = "0s"\ntimeout = "5s"\n'
        for name, clients in (("hybrid", asking), ("classical", "")):
            config += LISTENER.format(name=name, upstream=upstream, socket=spire.socket, clients=clients)
        path = f"{self.dir}/hybridge.toml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self._start(["run", "--log-level", "debug", "--config", path])

    def ready(self):
        """Nothing stands against it."""
        eventually("/readyz to say ready", lambda: self.readyz() == "ready\n", 60)

    def says(self, what):
        eventually(f"/readyz to say {what!r}", lambda: what in self.readyz(), 60)

    def readyz(self):
        try:
            return self.page("/readyz")
        except urllib.error.HTTPError as refused:
            return refused.read().decode()

    def refusals(self):
        return self.metric("hybridge_handshake_failures_total", listener="hybrid")


@contextlib.contextmanager
def workload(spire, *rules):
    with echo() as upstream, Workload(spire, upstream, *rules) as sidecar:
        yield sidecar


def register(spire, lifetime=3600):
    """A server, a client that the rule lets in, and one that it does not; what the server's entry is called."""
    server = spire.register("/ns/ai/sa/chat", "-hint", "server", "-x509SVIDTTL", str(lifetime))
    spire.register("/ns/ai/sa/batch", "-hint", "batch")
    spire.register("/ns/web/sa/front", "-hint", "web")
    return server


def case_a_late_registration_is_waited_for_and_rules_decide_about_svids():
    with Spire("example.org") as spire:
        with workload(spire, spire.id(RULE)) as sidecar:
            sidecar.says("is the agent running")
            spire.start_agent()
            sidecar.says("is this workload registered?")
            register(spire)
            sidecar.ready()
            *batch, bundle = spire.fetch("/ns/ai/sa/batch")
            *web, _ = spire.fetch("/ns/web/sa/front")
            status, certificate = request(sidecar.hybrid, bundle, batch)
            equal(status, SERVED)
            equal(request(sidecar.hybrid, bundle, web)[0], "TLSV1_ALERT_ACCESS_DENIED")
            equal(request(sidecar.hybrid, bundle)[0], "TLSV13_ALERT_CERTIFICATE_REQUIRED")
            # Neither an ID of the same server that no rule names, nor a path that begins alike.
            for path in ("/ns/other", "/ns/ai"):
                equal(request(sidecar.hybrid, bundle, spire.mint(path))[0], "TLSV1_ALERT_ACCESS_DENIED")
            # Without client-auth the same SVID, and nobody is asked.
            equal(request(sidecar.classical, bundle), (SERVED, certificate))
            assert "spiffe://" not in sidecar.page("/metrics")
            assert spire.id("/ns/ai/sa/batch") in sidecar.log()


def case_rotations_cost_no_client_its_handshake():
    with Spire("example.org") as spire:
        spire.start_agent()
        register(spire, lifetime=20)
        *batch, bundle = spire.fetch("/ns/ai/sa/batch")
        with workload(spire, spire.id(RULE)) as sidecar:
            sidecar.ready()
            seen, handshakes = [], 0

            def rotated(times):
                nonlocal handshakes
                status, certificate = request(sidecar.hybrid, bundle, batch)
                handshakes += 1
                equal(status, SERVED)
                digest = hashlib.sha256(certificate).hexdigest()
                if digest not in seen:
                    seen.append(digest)
                return len(seen) >= times

            eventually("three rotations", lambda: rotated(4), 100)
            # A new CA is in every bundle before it signs, as SPIRE's own rotation has it.
            authority = spire.prepare_authority()

            def both():
                *_, bundle = spire.fetch("/ns/ai/sa/batch")
                with open(bundle, encoding="utf-8") as file:
                    return bundle if file.read().count("BEGIN CERTIFICATE") == 2 else None

            bundle = eventually("the new CA in the bundle", both, 60)
            spire.activate_authority(authority)
            # Clients of the old CA and a server of the new one, and the other way round.
            eventually("an SVID of the new CA", lambda: rotated(len(seen) + 1), 60)
            *batch, bundle = spire.fetch("/ns/ai/sa/batch")
            assert rotated(0)
            equal(request(sidecar.hybrid, bundle, spire.mint("/ns/ai/sa/minted"))[0], SERVED)
            equal(sidecar.refusals(), 0)
            reloads = sidecar.metric("hybridge_credential_reloads_total", result="ok")
            print(f"{handshakes} handshakes, {len(seen)} certificates, {reloads:.0f} reloads of two listeners")


def case_a_federated_client_is_judged_by_its_own_domain():
    with Spire("example.org") as spire, Spire("partner.org") as partner:
        spire.start_agent()
        spire.federate(partner)
        spire.register("/ns/ai/sa/chat", "-hint", "server", "-federatesWith", partner.id(""))
        with workload(spire, spire.id(RULE), partner.id("/ns/x/**")) as sidecar:
            sidecar.ready()
            bundle = f"{spire.dir}/bootstrap.pem"
            served = lambda pair: request(sidecar.hybrid, bundle, pair)[0]
            of_partner = partner.mint("/ns/x/sa/y")
            equal(names(of_partner[0]), [partner.id("/ns/x/sa/y")])
            equal(served(of_partner), SERVED)
            equal(served(spire.mint("/ns/ai/sa/batch")), SERVED)
            equal(served(partner.mint("/ns/z")), "TLSV1_ALERT_ACCESS_DENIED")
            spire.end_federation(partner)
            eventually("the partner to be refused", lambda: served(of_partner) == "TLSV1_ALERT_UNKNOWN_CA", 60)
            equal(served(spire.mint("/ns/ai/sa/batch")), SERVED)


def case_an_agent_that_restarts_and_an_identity_that_is_withdrawn():
    with Spire("example.org") as spire:
        spire.start_agent()
        server = register(spire, lifetime=20)
        pair = spire.mint("/ns/ai/sa/batch")
        bundle = f"{spire.dir}/bootstrap.pem"
        with workload(spire, spire.id(RULE)) as sidecar:
            sidecar.ready()
            spire.stop_agent()
            sidecar.says("is the agent running")
            equal(request(sidecar.hybrid, bundle, pair)[0], SERVED)
            spire.start_agent()
            sidecar.ready()
            # The other identities of the host stay; none of them is taken for it.
            spire.forget(server)
            sidecar.says("has the hint `server`")
            equal(request(sidecar.hybrid, bundle, pair)[0], SERVED)
            refused = lambda: request(sidecar.hybrid, bundle, pair)[0] != SERVED
            eventually("the last SVID to end", refused, 60)
            assert "every handshake is refused" in sidecar.log()


run_cases(globals())
