"""One node: containerd and runc as Debian packages them, the kubelet, and a scheduler that is a loop of binds."""

import os
import pathlib
import subprocess
import threading
import time

from control_plane import ADDRESS
from kube import Kube

NAME = "node0"
SOCKET = "/run/containerd/containerd.sock"
PAUSE = "registry.example/pause:1"
CNI = """\
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/24"}]], "dataDir": "%(work)s/addresses"}},
  {"type": "loopback"}]}
"""
CONTAINERD = """\
version = 2
root = "%(work)s/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "%(socket)s"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%(pause)s"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%(debian)s/usr/lib/cni"
    conf_dir = "%(work)s/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://%(socket)s
volumePluginDir: %(work)s/volume-plugins
cgroupDriver: cgroupfs
cgroupRoot: %(cgroup)s
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
address: %(address)s
readOnlyPort: 0
healthzPort: 0
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
syncFrequency: 5s
configMapAndSecretChangeDetectionStrategy: Watch
"""
# The kubelet sets these, and they are the whole machine's: it is shown files instead.
SYSCTLS = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}


class Node:
    def __init__(self, plane, debian, images, cgroup):
        self.plane, self.debian, self.images, self.cgroup = plane, pathlib.Path(debian), images, cgroup
        self.work = plane.work
        self.path = f"{self.debian}/usr/bin:{self.debian}/usr/sbin:{os.environ['PATH']}"

    def start(self):
        self._mounts()
        values = {"work": self.work, "socket": SOCKET, "pause": PAUSE, "debian": self.debian,
                  "address": ADDRESS, "cgroup": self.cgroup}
        (self.work / "cni").mkdir()
        (self.work / "cni/pods.conflist").write_text(CNI % values)
        (self.work / "containerd.toml").write_text(CONTAINERD % values)
        (self.work / "kubelet.yaml").write_text(KUBELET % values)
        environment = {**os.environ, "PATH": self.path}
        self.plane.spawn("containerd", f"{self.debian}/usr/bin/containerd", "-c", "containerd.toml", env=environment)
        self._wait("containerd", lambda: self.ctr("version").returncode == 0)
        for archive, names in self.images:
            self.load(archive, names)
        self.plane.spawn(
            "kubelet", self.plane.programs / "kubelet", "--config=kubelet.yaml",
            f"--kubeconfig={self.plane.kubeconfig}", f"--hostname-override={NAME}", f"--node-ip={ADDRESS}",
            f"--root-dir={self.work}/kubelet", env=environment,
        )
        condition = '{.status.conditions[?(@.type=="Ready")].status}'
        ready = lambda: self.plane.kubectl("get", "node", NAME, "-o", f"jsonpath={condition}").stdout == "True"
        self._wait("kubelet", ready)
        threading.Thread(target=self._schedule, daemon=True).start()

    def ctr(self, *words):
        return subprocess.run(
            [f"{self.debian}/usr/bin/ctr", "-a", SOCKET, "-n", "k8s.io", *words], capture_output=True, text=True,
        )

    def load(self, archive, names=()):
        """What `docker load` or `kind load` is elsewhere; then the other names of an image that has the first of them."""
        loaded = self.ctr("images", "import", str(archive))
        if loaded.returncode != 0:
            raise RuntimeError(f"{archive} cannot be imported: {loaded.stderr[-600:]}")
        for name in names[1:]:
            tagged = self.ctr("images", "tag", names[0], name)
            if tagged.returncode != 0:
                raise RuntimeError(f"{archive} is not called {names[0]}: {tagged.stderr[-600:]}")

    def _schedule(self):
        kube = Kube()
        while True:
            time.sleep(0.2)
            try:
                waiting = kube.get("/api/v1/pods?fieldSelector=spec.nodeName%3D,status.phase%3DPending").get("items", [])
                for pod in waiting:
                    kube.bind(pod, NAME)
            except Exception as error:
                print(f"cluster: scheduler: {error}", flush=True)
                time.sleep(1)
                kube = Kube()

    def _wait(self, name, holds, deadline=120):
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if holds():
                return
            if self.plane.processes[name].poll() is not None:
                break
            time.sleep(0.3)
        raise RuntimeError(f"{name} does not get ready: {self.plane.log_end(name, 2000)}")

    def _mounts(self):
        mount = lambda *words: subprocess.run(["mount", *map(str, words)], check=True)
        for path, value in SYSCTLS.items():
            file = self.work / "sysctl" / path.replace("/", ".")
            file.parent.mkdir(exist_ok=True)
            file.write_text(value + "\n")
            mount("--bind", file, f"/proc/sys/{path}")
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        # What the programs leave in /var and /run is this test's and goes with it.
        mount("-t", "tmpfs", "tmpfs", "/run")
        for layer in ("var", "var-work"):
            (self.work / layer).mkdir()
        mount("-t", "overlay", "overlay", "-o",
              f"lowerdir=/var,upperdir={self.work}/var,workdir={self.work}/var-work", "/var")
