//! Every setting by name, in one table: place in the file, flag, environment variable, type, default.
//!
//! The command line, the reader of files, the messages, `check` and the test of the documentation
//! all read this table, so no setting is in only one of them.

mod lookup;

use strum::VariantNames;

use super::settings::LogFormat;
use super::value_type::DefaultValue::{self, Derived, Fixed, Required};
use super::value_type::ValueType;
use crate::census::Addresses;
use crate::proxy::egress::Capture;
use crate::proxy::{
    ForwardedMode, IdentityField, Protocol, RequestField, UpstreamHttp, UpstreamProxyProtocol,
};
use crate::signature::SignatureMode;
use crate::tls::certificates::{PqCertificate, UnknownName};
use crate::tls::policy::Profile;
use crate::tls::trust::{ClientAuth, Signatures};

/// One row of the table.
struct Row {
    path: &'static str,
    flag: &'static str,
    value_type: ValueType,
    default: DefaultValue,
    help: &'static str,
}

macro_rules! keys {
    ($($key:ident: $path:literal, $flag:literal, $value_type:expr, $default:expr, $help:literal;)+) => {
        /// A setting.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Key { $(#[doc = $help] $key),+ }

        impl Key {
            /// Every setting, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$key),+];

            fn row(self) -> &'static Row {
                match self {
                    $(Self::$key => {
                        const ROW: &Row =
                            &Row { path: $path, flag: $flag, value_type: $value_type, default: $default, help: $help };
                        ROW
                    })+
                }
            }
        }
    };
}

const KIB: u64 = 1024;

keys! {
    Workers: "workers", "workers", ValueType::Count(1, 1024), Derived("CPU quota"),
        "Worker threads";
    Admin: "admin.listen", "admin", ValueType::Addresses("127.0.0.1:9443"), Fixed("127.0.0.1:9443"),
        "Addresses of the plaintext admin port (probes, metrics, status), or `none`";
    Probes: "admin.probes", "probes", ValueType::Text, Derived("no probes"),
        "JSON table of the probes that the admin port makes for the app";
    DrainDelay: "drain.delay", "drain-delay", ValueType::Delay, Fixed("5s"),
        "After a stop signal: how long new connections are still accepted";
    DrainTimeout: "drain.timeout", "drain-timeout", ValueType::Delay, Fixed("5m"),
        "After drain-delay: how long open streams may go on before they are closed";
    LogFormat: "log.format", "log-format", ValueType::Choice(LogFormat::VARIANTS), Fixed("text"),
        "Format of a log line";
    LogLevel: "log.level", "log-level", ValueType::Text, Fixed("info"),
        "off, error, warn, info, debug, trace, or a list of target=level";
    TracesEndpoint: "traces.endpoint", "traces-endpoint", ValueType::Text, Fixed("none"),
        "Collector of traces by OTLP over HTTP: http://HOST:PORT, https://HOST:PORT, or auto (OTEL_EXPORTER_OTLP_ENDPOINT)";
    TracesUnsafeRemote: "traces.unsafe-remote-endpoint", "traces-unsafe-remote-endpoint", ValueType::Switch, Fixed("false"),
        "Allow a collector over plaintext http that is not loopback";
    TracesCa: "traces.ca", "traces-ca", ValueType::Path, Derived("none: must be given for https"),
        "PEM file with the CAs that certify the collector, or `system` for the host's own";
    TracesServiceName: "traces.service-name", "traces-service-name", ValueType::Text, Derived("hybridge; with endpoint auto OTEL_SERVICE_NAME"),
        "Service name of the spans";
    TracesSample: "traces.sample", "traces-sample", ValueType::Ratio, Fixed("1.0"),
        "Share of traces to record; where the client sends a traceparent, its flags decide";
    TracesQueue: "traces.queue", "traces-queue", ValueType::Count(1, 1_000_000), Fixed("2048"),
        "Spans that wait for the collector; above it they are dropped and counted";
    TracesTimeout: "traces.timeout", "traces-timeout", ValueType::Duration, Fixed("5s"),
        "Timeout of one batch of spans, connecting included";

    Name: "listener.name", "name", ValueType::Text, Fixed("default"),
        "Label of metrics and log lines; needed in a file with several listeners";
    Listen: "listener.listen", "listen", ValueType::Addresses("0.0.0.0:8443"), Required,
        "Addresses to accept TLS on: IP:PORT (IPv6 in brackets), :PORT for all, $POD_IPS:PORT";
    Upstream: "listener.upstream", "upstream", ValueType::Upstream, Required,
        "Where the upstream listens: IP:PORT of loopback, or unix:/PATH";
    UnsafeRemoteUpstream: "listener.unsafe-remote-upstream", "unsafe-remote-upstream", ValueType::Switch, Fixed("false"),
        "Allow an upstream that is not loopback: plaintext leaves the host";
    Protocol: "listener.protocol", "protocol", ValueType::Choice(Protocol::VARIANTS), Fixed("http"),
        "Protocol inside TLS";
    UpstreamHttp: "listener.upstream-http", "upstream-http", ValueType::Choice(UpstreamHttp::VARIANTS), Fixed("auto"),
        "HTTP version spoken to the upstream; auto: HTTP/2 for gRPC, HTTP/1.1 otherwise";
    Forwarded: "listener.forwarded", "forwarded", ValueType::Choice(ForwardedMode::VARIANTS), Fixed("replace"),
        "Whether a client's own forwarded and x-forwarded-* headers are replaced or kept";
    Identity: "listener.identity", "identity", ValueType::Words(IdentityField::VARIANTS), Fixed("x-forwarded-client-cert"),
        "Header fields that tell the app of a client's certificate";
    ProxyProtocolFrom: "listener.proxy-protocol-from", "proxy-protocol-from", ValueType::Networks, Derived("none"),
        "Networks of proxies that must send a PROXY protocol header with the client's address";
    UpstreamProxyProtocol: "listener.upstream-proxy-protocol", "upstream-proxy-protocol", ValueType::Choice(UpstreamProxyProtocol::VARIANTS), Fixed("off"),
        "PROXY protocol header for an upstream of protocol tcp";

    TunnelTo: "listener.tunnel-to", "tunnel-to", ValueType::Names, Fixed("127.0.0.1"),
        "Addresses of this pod that a tunnel reaches: loopback, $POD_IPS, or others of this host";
    TunnelPorts: "listener.tunnel-ports", "tunnel-ports", ValueType::Names, Fixed("1024-65535"),
        "Ports that a tunnel reaches, never those of this process";
    UnsafeOpenTunnel: "listener.unsafe-open-tunnel", "unsafe-open-tunnel", ValueType::Switch, Fixed("false"),
        "Allow a tunnel without client rules: anyone who reaches it can connect to ports of this pod";

    AccessLog: "listener.access-log", "access-log", ValueType::Words(RequestField::VARIANTS), Fixed("none"),
        "Fields of the log line of each request; none: no lines";
    StreamMetrics: "listener.stream-metrics", "stream-metrics", ValueType::Switch, Fixed("false"),
        "Time the pieces of token streams: first token, gaps, streams open";

    Profile: "listener.tls.profile", "profile", ValueType::Choice(Profile::VARIANTS), Fixed("off"),
        "Algorithms that the listener must use: sets what is not given, refuses what contradicts";
    Policy: "listener.tls.policy", "policy", ValueType::Choice(&["hybrid-preferred", "hybrid-required", "pq-required", "classical-only"]), Fixed("hybrid-preferred"),
        "Key-exchange policy";
    Groups: "listener.tls.groups", "groups", ValueType::Names, Derived("every group the policy admits"),
        "Key-exchange groups, the first preferred; must agree with the policy";
    CipherSuites: "listener.tls.cipher-suites", "cipher-suites", ValueType::Names, Derived("fastest first"),
        "TLS 1.3 cipher suites, the first preferred";
    Cert: "listener.tls.cert", "cert", ValueType::Path, Required,
        "PEM file with the certificate chain, leaf first";
    PrivateKey: "listener.tls.key", "key", ValueType::Path, Required,
        "PEM file with the private key of the leaf, or pkcs11: URI of one in a token";
    Spiffe: "listener.tls.spiffe", "spiffe", ValueType::Text, Fixed("off"),
        "Workload API that gives certificate, key and CAs: unix:/PATH, or auto (SPIFFE_ENDPOINT_SOCKET)";
    SpiffeHint: "listener.tls.spiffe-hint", "spiffe-hint", ValueType::Text, Derived("the first"),
        "Which of several identities the agent gives: the one with this hint";
    UnknownName: "listener.tls.unknown-name", "unknown-name", ValueType::Choice(UnknownName::VARIANTS), Fixed("default"),
        "For a server name that no certificate has: the first certificate, or a refusal";
    PqCertificate: "listener.tls.pq-certificate", "pq-certificate", ValueType::Choice(PqCertificate::VARIANTS), Fixed("explicit-names"),
        "Whether an ML-DSA certificate beside another of its name is for its written names or always";
    WaitForCertificate: "listener.tls.wait-for-certificate", "wait-for-certificate", ValueType::Switch, Fixed("false"),
        "Start without a usable certificate and refuse handshakes until the files hold one";
    ClientAuth: "listener.tls.client-auth", "client-auth", ValueType::Choice(ClientAuth::VARIANTS), Fixed("off"),
        "Whether clients need a certificate";
    ClientCa: "listener.tls.client-ca", "client-ca", ValueType::Path, Derived("none"),
        "PEM file with the CAs that certify clients";
    ClientCrl: "listener.tls.client-crl", "client-crl", ValueType::Path, Derived("none"),
        "File with revocation lists for clients, PEM or DER";
    AllowUri: "listener.tls.allow-uri", "allow-uri", ValueType::Names, Derived("none"),
        "Clients let in by URI (SPIFFE ID): * is one segment, ** at the end one or more";
    AllowDns: "listener.tls.allow-dns", "allow-dns", ValueType::Names, Derived("none"),
        "Clients let in by DNS name: *. at the start is one label";
    AllowIp: "listener.tls.allow-ip", "allow-ip", ValueType::Names, Derived("none"),
        "Clients let in by the IP address in their certificate";
    AllowCn: "listener.tls.allow-cn", "allow-cn", ValueType::Names, Derived("none"),
        "Clients let in by common name";
    AllowAny: "listener.tls.allow-any", "allow-any", ValueType::Switch, Fixed("false"),
        "Let in every client that client-ca certifies";
    Signatures: "listener.tls.signatures", "signatures", ValueType::Choice(Signatures::VARIANTS), Fixed("any"),
        "Signature algorithms accepted in what clients present";
    Tickets: "listener.tls.tickets", "tickets", ValueType::Count(0, 10), Fixed("1"),
        "Session tickets sent after each handshake; 0 turns resumption off";
    TicketKeys: "listener.tls.ticket-keys", "ticket-keys", ValueType::Path, Derived("made at start"),
        "File with the keys of session tickets, shared by several replicas";
    HandshakeTimeout: "listener.tls.handshake-timeout", "handshake-timeout", ValueType::Duration, Fixed("10s"),
        "Time for a whole handshake, from the accepted connection on";
    MaxHandshakes: "listener.tls.max-handshakes", "max-handshakes", ValueType::Count(1, 1_000_000), Fixed("1024"),
        "Maximum number of handshakes that wait for their client; above it the oldest of the source with the most is closed";
    HandshakeRatePerSource: "listener.tls.handshake-rate-per-source", "handshake-rate-per-source", ValueType::Count(0, 1_000_000), Fixed("0"),
        "Handshakes that a source (/24, /64) may begin in a second; 0: any number";

    Signature: "listener.signature.mode", "signature", ValueType::Choice(SignatureMode::VARIANTS), Fixed("off"),
        "Signatures of requests (RFC 9421): verify tells the app the result, require refuses";
    SignatureKeys: "listener.signature.keys", "signature-keys", ValueType::Path, Derived("none"),
        "File with a JWK set: the public keys of clients, each with kid and principal";
    SignatureRequire: "listener.signature.require", "signature-require", ValueType::Names, Fixed("classical,ml-dsa"),
        "Kinds of signatures that each request needs, of one principal";
    SignatureCover: "listener.signature.cover", "signature-cover", ValueType::Names, Fixed("@method,@authority,@path,@query,content-digest"),
        "Components that each signature must cover; content-digest where there is a body";
    SignatureMaxAge: "listener.signature.max-age", "signature-max-age", ValueType::Duration, Fixed("60s"),
        "How old a signature may be";
    SignatureSkew: "listener.signature.skew", "signature-skew", ValueType::Delay, Fixed("5s"),
        "How far a client's clock may be ahead";
    SignatureReplayTable: "listener.signature.replay-table", "signature-replay-table", ValueType::Count(2, 10_000_000), Fixed("100000"),
        "Signed requests to remember against replay; above it requests are refused";
    SignatureResponses: "listener.signature.responses", "signature-responses", ValueType::Path, Derived("none"),
        "Directory with ec.key and mldsa.key, which sign responses (`hybridge keys sign`)";
    SignatureModel: "listener.signature.model", "signature-model", ValueType::Path, Derived("none"),
        "The model.sig of the served model, whose digest signed responses carry";
    SignatureSseComment: "listener.signature.sse-comment", "signature-sse-comment", ValueType::Switch, Fixed("false"),
        "Signatures of server-sent events in a comment behind the last one, not in trailers";

    MaxConnections: "listener.limits.max-connections", "max-connections", ValueType::Count(1, 1_000_000), Fixed("10000"),
        "Maximum number of open connections; above it idle ones are closed for new ones";
    Backlog: "listener.limits.backlog", "backlog", ValueType::Count(1, 65535), Fixed("4096"),
        "Length of the kernel's queue of connections not yet accepted";
    MaxStreams: "listener.limits.max-streams", "max-streams", ValueType::Count(1, 100_000), Fixed("250"),
        "Concurrent streams of one HTTP/2 connection";
    MaxHead: "listener.limits.max-head", "max-head", ValueType::Size(8 * KIB, 1024 * KIB), Fixed("64KiB"),
        "Maximum request-head size (431 above it)";
    MaxHeaders: "listener.limits.max-headers", "max-headers", ValueType::Count(1, 10_000), Fixed("100"),
        "Maximum number of header fields of a request (431 above it)";
    MaxIdleUpstreams: "listener.limits.max-idle-upstreams", "max-idle-upstreams", ValueType::Count(0, 100_000), Fixed("1024"),
        "Maximum number of idle upstream connections; 0 keeps none";

    CensusSize: "listener.census.size", "census-size", ValueType::Count(0, 4096), Fixed("256"),
        "Kinds of client without a hybrid group that `hybridge ctl census` tells apart; 0 turns it off";
    CensusAddresses: "listener.census.addresses", "census-addresses", ValueType::Choice(Addresses::VARIANTS), Fixed("prefix"),
        "How much of a client's address is kept";
    CensusWindow: "listener.census.window", "census-window", ValueType::Duration, Fixed("1h"),
        "How long the census remembers: the current window and the one before";

    HeadTimeout: "listener.timeouts.head-timeout", "head-timeout", ValueType::Duration, Fixed("30s"),
        "Time for a complete request head";
    ConnectTimeout: "listener.timeouts.connect-timeout", "connect-timeout", ValueType::Duration, Fixed("5s"),
        "Upstream connect timeout";
    KeepAliveTimeout: "listener.timeouts.keep-alive-timeout", "keep-alive-timeout", ValueType::Timeout, Fixed("620s"),
        "How long a client connection may be idle between two requests";
    UpstreamIdleTimeout: "listener.timeouts.upstream-idle-timeout", "upstream-idle-timeout", ValueType::Duration, Fixed("4s"),
        "How long an idle upstream connection is kept";
    IdleTimeout: "listener.timeouts.idle-timeout", "idle-timeout", ValueType::Timeout, Fixed("none"),
        "Silence in both directions after which an exchange is aborted";
    ClientTimeout: "listener.timeouts.client-timeout", "client-timeout", ValueType::Timeout, Fixed("5m"),
        "How long a client that alone is waited for may send, or take, nothing";

    EgressName: "egress.name", "egress-name", ValueType::Text, Fixed("egress"),
        "Label of metrics and log lines; needed in a file with several egresses";
    EgressListen: "egress.listen", "egress-listen", ValueType::Addresses("127.0.0.1:9000"), Required,
        "Addresses where apps of this host connect in plaintext: IP:PORT of loopback";
    UnsafeRemoteListen: "egress.unsafe-remote-listen", "unsafe-remote-listen", ValueType::Switch, Fixed("false"),
        "Allow an egress to listen on more than loopback: anyone who reaches it acts with our identity";
    EgressSocketMode: "egress.socket-mode", "egress-socket-mode", ValueType::Text, Fixed("0660"),
        "Mode of the file of a Unix socket in listen: who may connect";
    EgressTarget: "egress.target", "egress-target", ValueType::Text, Derived("none: must be given without capture"),
        "Where its connections go over TLS: HOST:PORT; with capture {host} and {port} are as the app names them";
    EgressCapture: "egress.capture", "egress-capture", ValueType::Choice(Capture::VARIANTS), Fixed("none"),
        "How apps name their targets, instead of one target for all";
    EgressTunnel: "egress.tunnel", "egress-tunnel", ValueType::Switch, Fixed("false"),
        "Ask the far side, inside TLS, to connect to what the app named: a listener of protocol tunnel";
    TargetsAllowed: "egress.targets-allowed", "egress-targets-allowed", ValueType::Names, Derived("none"),
        "Targets that apps may name: HOST, *.DOMAIN, address or network, a colon, and port, range or *";
    EgressProtocol: "egress.protocol", "egress-protocol", ValueType::Choice(&["http", "tcp"]), Fixed("tcp"),
        "What the app speaks";
    EgressUpstreamHttp: "egress.upstream-http", "egress-upstream-http", ValueType::Choice(UpstreamHttp::VARIANTS), Fixed("auto"),
        "HTTP version spoken to the server; auto: HTTP/2 for gRPC, HTTP/1.1 otherwise";

    EgressPolicy: "egress.tls.policy", "egress-policy", ValueType::Choice(&["hybrid-preferred", "hybrid-required", "pq-required", "classical-only"]), Fixed("hybrid-preferred"),
        "Key-exchange policy of the client";
    EgressGroups: "egress.tls.groups", "egress-groups", ValueType::Names, Derived("every group the policy admits"),
        "Key-exchange groups offered, the first preferred; must agree with the policy";
    EgressCipherSuites: "egress.tls.cipher-suites", "egress-cipher-suites", ValueType::Names, Derived("fastest first"),
        "TLS 1.3 cipher suites offered, the first preferred";
    EgressCa: "egress.tls.ca", "egress-ca", ValueType::Path, Required,
        "PEM file with the CAs that certify the servers, or `system` for the host's own";
    EgressServerName: "egress.tls.server-name", "egress-server-name", ValueType::Text, Derived("the host of the target"),
        "Name that the server's certificate must have";
    EgressPeerIds: "egress.tls.peer-ids", "egress-peer-ids", ValueType::Names, Derived("none"),
        "Servers by URI (SPIFFE ID) instead of by name: * is one segment, ** at the end one or more";
    EgressCert: "egress.tls.cert", "egress-cert", ValueType::Path, Derived("none"),
        "PEM file with the certificate chain shown to servers that ask, leaf first";
    EgressKey: "egress.tls.key", "egress-key", ValueType::Path, Derived("none"),
        "PEM file with the private key of that leaf";
    EgressAlpn: "egress.tls.alpn", "egress-alpn", ValueType::Names, Derived("none"),
        "Protocols offered by ALPN, the first preferred";
    EgressResumption: "egress.tls.resumption", "egress-resumption", ValueType::Switch, Fixed("true"),
        "Whether sessions are resumed by ticket";
    EgressHandshakeTimeout: "egress.tls.handshake-timeout", "egress-handshake-timeout", ValueType::Duration, Fixed("10s"),
        "Time for a handshake, from the ClientHello on";

    EgressMaxConnections: "egress.limits.max-connections", "egress-max-connections", ValueType::Count(1, 1_000_000), Fixed("10000"),
        "Maximum number of open connections of apps";
    EgressBacklog: "egress.limits.backlog", "egress-backlog", ValueType::Count(1, 65535), Fixed("4096"),
        "Length of the kernel's queue of connections not yet accepted";

    EgressResolveTimeout: "egress.timeouts.resolve-timeout", "egress-resolve-timeout", ValueType::Duration, Fixed("5s"),
        "Time to resolve the name of a target";
    EgressConnectTimeout: "egress.timeouts.connect-timeout", "egress-connect-timeout", ValueType::Duration, Fixed("5s"),
        "Time to connect to a target, all addresses together";
    EgressIdleTimeout: "egress.timeouts.idle-timeout", "egress-idle-timeout", ValueType::Timeout, Fixed("none"),
        "Silence in both directions after which a connection is closed";
}

/// Whose a setting is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// The process'.
    Process,
    /// Each `[[listener]]` has its own.
    Listener,
    /// Each `[[egress]]` has its own.
    Egress,
}

/// The environment variable of a flag.
pub(super) fn variable(flag: &str) -> String {
    format!("HYBRIDGE_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests;
