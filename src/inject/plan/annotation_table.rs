//! Names, defaults and meanings of the annotations: one table for the parser's messages and for the
//! documentation.

use super::names::PREFIX;

/// One row of the annotations table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Name without the prefix `hybridge.dev/`.
    pub name: &'static str,
    /// What counts when it is absent.
    pub default: &'static str,
    /// What it means and which values it takes.
    pub meaning: &'static str,
}

/// Every annotation, in the order of the documentation.
pub const TABLE: &[Row] = &[
    Row {
        name: "ports",
        default: "the pod's only TCP port",
        meaning: "Ports of the app to put behind TLS, as numbers or names, separated by commas. Required unless exactly one TCP port is declared. `none` beside `egress`: no port.",
    },
    Row {
        name: "mode",
        default: "takeover",
        meaning: "`takeover`: the sidecar listens on the pod's addresses, the app on loopback, same port. `explicit`: the sidecar has a port of its own.",
    },
    Row {
        name: "listen-port",
        default: "8443",
        meaning: "Mode explicit: the sidecar's port; for several ports a list of the same length (default 8443, 8444, ...).",
    },
    Row {
        name: "protocol",
        default: "http",
        meaning: "`http`, or `tcp` for anything that is not HTTP or gRPC.",
    },
    Row {
        name: "tls-secret",
        default: "the injector's `--tls-secret`",
        meaning: "Secret with `tls.crt` and `tls.key`; the pod waits until it exists.",
    },
    Row {
        name: "spiffe",
        default: "off",
        meaning: "`csi/csi.spiffe.io`: certificate, key and CAs come from the SPIFFE agent whose socket that CSI driver mounts, not from `tls-secret` and `client-ca`. The socket is `spire-agent.sock`; `csi/DRIVER:SOCKET` for another.",
    },
    Row {
        name: "policy",
        default: "the injector's `--default-policy`",
        meaning: "`hybrid-preferred`, `hybrid-required`, `pq-required` or `classical-only`.",
    },
    Row {
        name: "client-auth",
        default: "off",
        meaning: "`required`: clients need a certificate. `optional`: they may have none. With either, `client-ca` or `spiffe`, and a rule (`allow-...`), say whose certificates count.",
    },
    Row {
        name: "client-ca",
        default: "none",
        meaning: "ConfigMap or Secret with the CAs that certify clients: `configmap/NAME` or `secret/NAME`, its key `ca.crt`; `configmap/NAME:KEY` for another. The pod waits until it exists.",
    },
    Row {
        name: "client-crl",
        default: "none",
        meaning: "ConfigMap or Secret with revocation lists for clients, written like `client-ca`; its key is `ca.crl`.",
    },
    Row {
        name: "allow-uri",
        default: "none",
        meaning: "Clients let in by URI (SPIFFE ID), separated by commas: `*` is one segment, `**` at the end one or more.",
    },
    Row {
        name: "allow-dns",
        default: "none",
        meaning: "Clients let in by DNS name, separated by commas: `*.` at the start is one label.",
    },
    Row {
        name: "allow-ip",
        default: "none",
        meaning: "Clients let in by the IP address in their certificate, separated by commas.",
    },
    Row {
        name: "allow-cn",
        default: "none",
        meaning: "Clients let in by common name, separated by commas.",
    },
    Row {
        name: "allow-any",
        default: "false",
        meaning: "`true` lets in every client that `client-ca` certifies.",
    },
    Row {
        name: "ticket-keys",
        default: "none",
        meaning: "Secret with the keys of session tickets that replicas share: `secret/NAME`, its key `tickets`; `secret/NAME:KEY` for another. A client then resumes at each of them.",
    },
    Row {
        name: "identity",
        default: "x-forwarded-client-cert",
        meaning: "With client-auth: the header fields that tell the app of a client's certificate, `x-forwarded-client-cert`, `client-cert` and `client-cert-chain` separated by commas, or `none`.",
    },
    Row {
        name: "proxy-protocol-from",
        default: "none",
        meaning: "Load balancers in front that name the client with the PROXY protocol, as networks separated by commas. A header is required of them and of nobody else.",
    },
    Row {
        name: "upstream-proxy-protocol",
        default: "off",
        meaning: "With `protocol: tcp`: the app gets a PROXY protocol header first, `v1`, `v2`, `v2-tls` or `v2-identity`.",
    },
    Row {
        name: "bind",
        default: "auto",
        meaning: "`auto` moves a known server to loopback; `none` leaves the app alone (it must listen on 127.0.0.1 already).",
    },
    Row {
        name: "bind-env",
        default: "none",
        meaning: "Environment variable that tells the app where to listen: `NAME` (set to 127.0.0.1) or `NAME=value`.",
    },
    Row {
        name: "drain-timeout",
        default: "grace period - 7s, at most 120s",
        meaning: "How long open streams may run on after the pod is deleted, such as `90s` or `5m`; less than terminationGracePeriodSeconds.",
    },
    Row {
        name: "drain-delay",
        default: "5s; 0s in a Job's pod",
        meaning: "How long new connections are still accepted once the pod is being deleted, such as `15s` where endpoint lists are slow, or `0s`.",
    },
    Row {
        name: "init-order",
        default: "first",
        meaning: "`first` or `last` among the init containers. With `first`, the app's init containers start after the sidecar.",
    },
    Row {
        name: "cpu-request",
        default: "100m",
        meaning: "CPU request of the sidecar.",
    },
    Row {
        name: "cpu-limit",
        default: "none; the request in a Guaranteed pod",
        meaning: "CPU limit of the sidecar, for namespaces whose quota demands one.",
    },
    Row {
        name: "memory",
        default: "128Mi",
        meaning: "Memory request and limit of the sidecar, at least 32Mi; it takes as many connections as fit (256 in 128Mi).",
    },
    Row {
        name: "tunnel",
        default: "disabled",
        meaning: "`enabled`: instead of `ports`, one port (15443) through which peers reach every port of the pod from 1024 on. Needs `client-auth: required`, `client-ca` or `spiffe`, and a rule (`allow-...`).",
    },
    Row {
        name: "egress",
        default: "none",
        meaning: "Where the app connects in plaintext, and where that goes over TLS: `NAME=LISTEN->TARGET`, separated by commas, such as `store=127.0.0.1:9000->store.example.org:443`. Needs `egress-ca`.",
    },
    Row {
        name: "egress-capture",
        default: "none",
        meaning: "`http-proxy` or `socks5`: the app names its targets. `egress` is then `NAME=LISTEN`, or `NAME=LISTEN->{host}:15443` for tunnels. Needs `egress-targets-allowed`.",
    },
    Row {
        name: "egress-targets-allowed",
        default: "none",
        meaning: "With `egress-capture`: targets that the app may name, such as `*.train:*` or `10.244.0.0/16:1024-65535`, separated by commas.",
    },
    Row {
        name: "egress-protocol",
        default: "tcp",
        meaning: "`http`: requests of the app share connections to the target. `tcp`: each of its connections is one.",
    },
    Row {
        name: "egress-ca",
        default: "none",
        meaning: "ConfigMap or Secret with the CAs that certify the servers, written like `client-ca`; its key is `ca.crt`.",
    },
    Row {
        name: "egress-tls-secret",
        default: "none",
        meaning: "Secret with `tls.crt` and `tls.key`, shown to servers that ask for a certificate.",
    },
    Row {
        name: "egress-peer-ids",
        default: "none",
        meaning: "Servers by URI (SPIFFE ID) instead of by name, written like `allow-uri`.",
    },
    Row {
        name: "egress-policy",
        default: "the injector's `--default-policy`",
        meaning: "`hybrid-preferred`, `hybrid-required`, `pq-required` or `classical-only`, for the connections of `egress`.",
    },
    Row {
        name: "egress-env",
        default: "none",
        meaning: "Variables for every container of the app, `NAME=VALUE` separated by commas, such as `MASTER_ADDR=127.0.1.1,MASTER_PORT=29500`. Refused where a container has another value.",
    },
    Row {
        name: "sealed",
        default: "none",
        meaning: "A sealed model to open before the app starts: `VOLUME=PATH` or `VOLUME/DIRECTORY=PATH`, a volume of the pod with the sealed files and the path where every app container finds the opened model, in memory and read-only. Needs the next three.",
    },
    Row {
        name: "sealed-identity",
        default: "none",
        meaning: "What opens it: `secret/NAME`, its key `identity.txt`, `secret/NAME:KEY` for another; or a URL of the pod's own loopback address, as `hybridge open --identity` takes it, such as `http://127.0.0.1:8006/cdh/resource/default/key/model`.",
    },
    Row {
        name: "sealed-signer",
        default: "none",
        meaning: "Public keys of the signer: `configmap/NAME` or `secret/NAME` with `ec.pub` and `mldsa.pub`. Both signatures have to hold.",
    },
    Row {
        name: "sealed-size",
        default: "none",
        meaning: "Memory for the opened model, from `1Mi` to `1Pi`, such as `16Gi`: the size limit of the volume, and with 96Mi more the memory of the init container.",
    },
    Row {
        name: "traces-endpoint",
        default: "none",
        meaning: "Collector to which the sidecar sends a span for each request, by OTLP over HTTP: `https://HOST:PORT` with `traces-ca`, or `http://127.0.0.1:4318` for one in the pod.",
    },
    Row {
        name: "traces-ca",
        default: "none",
        meaning: "ConfigMap or Secret with the CA that certifies the collector, written like `client-ca`; its key is `ca.crt`.",
    },
    Row {
        name: "traces-sample",
        default: "1.0",
        meaning: "Share of the traces that begin at the sidecar and are recorded, from 0 to 1; where the client sends a `traceparent`, its flags decide.",
    },
    Row {
        name: "traces-service-name",
        default: "hybridge",
        meaning: "`service.name` of the spans.",
    },
    Row {
        name: "log-level",
        default: "info",
        meaning: "`error`, `warn`, `info`, `debug` or `trace`.",
    },
    Row {
        name: "allow-shared-pid",
        default: "false",
        meaning: "`true` accepts shareProcessNamespace or hostPID, where other processes can read the TLS key through /proc.",
    },
    Row {
        name: "status",
        default: "-",
        meaning: "Written by the injector: version, mode, ports, digest. Whatever a pod brings here is overwritten.",
    },
];

/// The table as Markdown, for `docs/kubernetes.md`.
pub fn markdown() -> String {
    let rows = TABLE.iter().map(|row| {
        format!(
            "| `{PREFIX}{}` | {} | {} |\n",
            row.name, row.default, row.meaning
        )
    });
    format!(
        "| annotation | default | meaning |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}
