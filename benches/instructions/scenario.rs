//! The scenarios by name: what is one operation, and how many of them make a count.

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The proxy's `--protocol`; `egress`: it is one, of raw TCP.
    pub(crate) protocol: &'static str,
    pub(crate) work: Work,
    /// Operations of the shorter of two runs; enough that what varies between runs is small beside them.
    pub(crate) times: u32,
}

/// A kind of operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Connect, full handshake with this group, close without a request.
    Handshake(&'static str),
    /// The same, with the ticket of the connection before.
    Resumption(&'static str),
    /// HTTP/1.1 request on a persistent connection, with a response of 1 KiB.
    Request,
    /// An app's connection through an egress: connect there and to the server, full handshake with this group,
    /// some bytes there and back, close.
    Origination(&'static str),
    /// The same, with the ticket of the connection before.
    ResumedOrigination(&'static str),
    /// Server-sent event in a chunk of its own.
    Token,
    /// One of eight HTTP/2 requests at the same time on a connection, answered with 1 KiB.
    Streams,
    /// Some bytes there, 1 KiB back, without HTTP.
    Exchange,
    /// 1 MiB from the model server to the client, without HTTP.
    Download,
    /// 1 MiB from the client to the model server, without HTTP.
    Upload,
}

const fn scenario(name: &'static str, protocol: &'static str, work: Work, times: u32) -> Scenario {
    Scenario {
        name,
        protocol,
        work,
        times,
    }
}

const HYBRID: &str = "X25519MLKEM768";

pub(crate) const SCENARIOS: [Scenario; 12] = [
    scenario("handshake-X25519", "http", Work::Handshake("X25519"), 40),
    scenario(
        "handshake-X25519MLKEM768",
        "http",
        Work::Handshake(HYBRID),
        40,
    ),
    scenario(
        "handshake-SecP384r1MLKEM1024",
        "http",
        Work::Handshake("SecP384r1MLKEM1024"),
        40,
    ),
    scenario(
        "resumption-X25519MLKEM768",
        "http",
        Work::Resumption(HYBRID),
        40,
    ),
    scenario(
        "egress-handshake-X25519MLKEM768",
        "egress",
        Work::Origination(HYBRID),
        40,
    ),
    scenario(
        "egress-resumption-X25519MLKEM768",
        "egress",
        Work::ResumedOrigination(HYBRID),
        40,
    ),
    scenario("http1-request", "http", Work::Request, 3000),
    scenario("http1-token", "http", Work::Token, 4000),
    scenario("http2-request", "http", Work::Streams, 2400),
    scenario("tcp-exchange", "tcp", Work::Exchange, 3000),
    scenario("tcp-MiB-down", "tcp", Work::Download, 16),
    scenario("tcp-MiB-up", "tcp", Work::Upload, 16),
];
