"""A client of the API server for what the cases do often; kubectl is for the commands of the documents."""

import http.client
import json
import ssl
import time

from control_plane import TOKEN

PATHS = {
    "Namespace": "/api/v1/namespaces", "Pod": "/api/v1/namespaces/{}/pods",
    "Secret": "/api/v1/namespaces/{}/secrets", "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments", "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
}


class Kube:
    """One connection; not for several threads."""

    def __init__(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection("127.0.0.1", 6443, timeout=60, context=context)

    def request(self, method, path, body=None, kind="application/json"):
        """Status and object of one request."""
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": kind, "accept": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, data, headers)
            response = self.connection.getresponse()
        except (http.client.HTTPException, OSError):
            # Kept open since the last request, and closed by the server meanwhile.
            self.connection.close()
            self.connection.request(method, path, data, headers)
            response = self.connection.getresponse()
        text = response.read()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, {"message": text.decode(errors="replace")}

    def get(self, path):
        return self.request("GET", path)[1]

    def create(self, thing, dry_run=False):
        """Status and object; a dry run passes through admission too."""
        path = PATHS[thing["kind"]].format(thing["metadata"].get("namespace", "default"))
        return self.request("POST", path + ("?dryRun=All" if dry_run else ""), thing)

    def delete(self, thing, seconds=None):
        grace = "" if seconds is None else f"?gracePeriodSeconds={seconds}"
        return self.request("DELETE", self.path(thing) + grace)

    def read(self, thing):
        return self.get(self.path(thing))

    def path(self, thing):
        metadata = thing["metadata"]
        return f"{PATHS[thing['kind']].format(metadata.get('namespace', 'default'))}/{metadata['name']}"

    def merge(self, thing, patch, below="", kind="application/merge-patch+json"):
        return self.request("PATCH", self.path(thing) + below, patch, kind)

    def bind(self, pod, node):
        metadata = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]},
                  "target": {"apiVersion": "v1", "kind": "Node", "name": node}}
        return self.request("POST", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding", target)

    def until(self, thing, holds, deadline=90):
        """The object once `holds(object)`, or the last one seen: the caller checks and reports."""
        end = time.monotonic() + deadline
        while True:
            seen = self.read(thing)
            if holds(seen) or time.monotonic() > end:
                return seen
            time.sleep(0.2)


def ready(pod):
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def gone(thing):
    return thing.get("kind") == "Status" and thing.get("code") == 404


def restarts(pod, container):
    states = pod.get("status", {})
    listed = states.get("containerStatuses", []) + states.get("initContainerStatuses", [])
    return next((each["restartCount"] for each in listed if each["name"] == container), 0)


def as_it_was(status, pod):
    """The pod was created without a sidecar."""
    return status == 201 and not sidecar(pod)


def sidecar(pod):
    """The container that was injected, or None."""
    return next((each for each in pod.get("spec", {}).get("initContainers", []) if each["name"] == "hybridge"), None)
