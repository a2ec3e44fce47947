//! Every setting by name, in one table: place in the file, flag, environment variable, form, default.
//!
//! The command line, the reader of files, the messages, `check` and the test of the documentation
//! all read this table, so a setting cannot exist in one of them alone.

use std::fmt;

/// What a setting looks like when written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// One listening address or several.
    Addresses,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number between these two, inclusive.
    Count(u64, u64),
    /// A duration; zero is allowed.
    Delay,
    /// A duration above zero.
    Duration,
    /// Names, the first preferred.
    Names,
    /// Path of a file.
    Path,
    /// Bytes with a unit, between these two, inclusive.
    Size(u64, u64),
    /// true or false.
    Switch,
    /// Free text.
    Text,
    /// A duration above zero, or `none`.
    Timeout,
    /// Where the inference server listens.
    Upstream,
}

impl Form {
    /// Continues the description, in messages, with what it may look like.
    pub(super) fn examples(self) -> &'static str {
        match self {
            Self::Delay | Self::Duration | Self::Timeout => {
                ", such as \"250ms\", \"5s\", \"2m\" or \"1h\""
            }
            _ => "",
        }
    }
}

impl fmt::Display for Form {
    /// Completes "is not …" in messages and the column "form" of the documentation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses => f.write_str("an address such as \"0.0.0.0:8443\", or a list"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Delay => f.write_str("a duration from \"0s\" to \"720h\""),
            Self::Duration => f.write_str("a duration above zero up to \"720h\""),
            Self::Names => f.write_str("a list of names"),
            Self::Path => f.write_str("the path of a file"),
            Self::Size(least, most) => {
                let (least, most) = (
                    super::value::size_text(*least),
                    super::value::size_text(*most),
                );
                write!(f, "a size from \"{least}\" to \"{most}\"")
            }
            Self::Switch => f.write_str("true or false"),
            Self::Text => f.write_str("a text"),
            Self::Timeout => f.write_str("\"none\" or a duration above zero up to \"720h\""),
            Self::Upstream => f.write_str("an address such as \"127.0.0.1:8000\""),
        }
    }
}

/// What holds when nobody says anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preset {
    /// This, as one would write it.
    Fixed(&'static str),
    /// Worked out at start, in these words.
    Derived(&'static str),
    /// Nothing: the operator must say.
    Required,
}

use Preset::{Derived, Fixed, Required};

/// One row of the table.
struct Row {
    path: &'static str,
    flag: &'static str,
    form: Form,
    default: Preset,
    help: &'static str,
}

macro_rules! keys {
    ($($key:ident: $path:literal, $flag:literal, $form:expr, $default:expr, $help:literal;)+) => {
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
                            &Row { path: $path, flag: $flag, form: $form, default: $default, help: $help };
                        ROW
                    })+
                }
            }
        }
    };
}

const KIB: u64 = 1024;

keys! {
    Workers: "workers", "workers", Form::Count(1, 1024), Derived("CPU quota"),
        "Worker threads";
    Admin: "admin.listen", "admin", Form::Addresses, Fixed("127.0.0.1:9443"),
        "Addresses of the plaintext admin port (probes, metrics, status), or `none`";
    Probes: "admin.probes", "probes", Form::Text, Derived("no probes"),
        "JSON table of the app's probes that the admin port answers for";
    DrainDelay: "drain.delay", "drain-delay", Form::Delay, Fixed("5s"),
        "After a stop signal: how long new connections are still accepted";
    DrainTimeout: "drain.timeout", "drain-timeout", Form::Delay, Fixed("5m"),
        "After that: how long open streams may go on before they are cut";
    LogFormat: "log.format", "log-format", Form::Choice(&["text", "json"]), Fixed("text"),
        "Form of a log line";
    LogLevel: "log.level", "log-level", Form::Text, Fixed("info"),
        "off, error, warn, info, debug, trace, or a list of target=level";

    Name: "listener.name", "name", Form::Text, Fixed("default"),
        "Label of metrics and log lines; needed in a file with several listeners";
    Listen: "listener.listen", "listen", Form::Addresses, Required,
        "Addresses to accept TLS on: IP:PORT (IPv6 in brackets), :PORT for all, $POD_IPS:PORT";
    Upstream: "listener.upstream", "upstream", Form::Upstream, Required,
        "Where the inference server listens: IP:PORT of loopback, or unix:/PATH";
    UnsafeRemoteUpstream: "listener.unsafe-remote-upstream", "unsafe-remote-upstream", Form::Switch, Fixed("false"),
        "Allow an upstream that is not loopback: plaintext leaves the host";
    Protocol: "listener.protocol", "protocol", Form::Choice(&["http", "tcp"]), Fixed("http"),
        "What travels inside TLS";
    UpstreamHttp: "listener.upstream-http", "upstream-http", Form::Choice(&["auto", "http1", "http2"]), Fixed("auto"),
        "HTTP version spoken to the inference server; auto: HTTP/2 for gRPC, HTTP/1.1 otherwise";
    Forwarded: "listener.forwarded", "forwarded", Form::Choice(&["replace", "append"]), Fixed("replace"),
        "What becomes of a client's own forwarded and x-forwarded-* headers";

    Policy: "listener.tls.policy", "policy", Form::Choice(&["hybrid-preferred", "hybrid-required", "classical-only"]), Fixed("hybrid-preferred"),
        "What is promised about the key exchange";
    Groups: "listener.tls.groups", "groups", Form::Names, Derived("every group the policy admits"),
        "Key-exchange groups, the first preferred; must agree with the policy";
    CipherSuites: "listener.tls.cipher-suites", "cipher-suites", Form::Names, Derived("fastest first"),
        "TLS 1.3 cipher suites, the first preferred";
    Cert: "listener.tls.cert", "cert", Form::Path, Required,
        "PEM file with the certificate chain, leaf first";
    PrivateKey: "listener.tls.key", "key", Form::Path, Required,
        "PEM file with the private key of the leaf";
    WaitForCertificate: "listener.tls.wait-for-certificate", "wait-for-certificate", Form::Switch, Fixed("false"),
        "Start without a usable certificate and refuse handshakes until the files hold one";
    Tickets: "listener.tls.tickets", "tickets", Form::Count(0, 10), Fixed("1"),
        "Session tickets sent after each handshake; 0 turns resumption off";
    HandshakeTimeout: "listener.tls.handshake-timeout", "handshake-timeout", Form::Duration, Fixed("10s"),
        "From the accepted connection to the finished handshake, the hello included";
    MaxHandshakes: "listener.tls.max-handshakes", "max-handshakes", Form::Count(1, 1_000_000), Fixed("1024"),
        "Handshakes that wait for their client at once; above it the oldest of the source with most of them ends";

    MaxConnections: "listener.limits.max-connections", "max-connections", Form::Count(1, 1_000_000), Fixed("10000"),
        "Connections open at once; beyond it idle ones make room";
    Backlog: "listener.limits.backlog", "backlog", Form::Count(1, 65535), Fixed("4096"),
        "Length of the kernel's queue of connections not yet accepted";
    MaxStreams: "listener.limits.max-streams", "max-streams", Form::Count(1, 100_000), Fixed("250"),
        "Concurrent streams of one HTTP/2 connection";
    MaxHead: "listener.limits.max-head", "max-head", Form::Size(8 * KIB, 1024 * KIB), Fixed("64KiB"),
        "Bytes of a request head before 431";
    MaxHeaders: "listener.limits.max-headers", "max-headers", Form::Count(1, 10_000), Fixed("100"),
        "Header fields of a request before 431";
    MaxIdleUpstreams: "listener.limits.max-idle-upstreams", "max-idle-upstreams", Form::Count(0, 100_000), Fixed("1024"),
        "Unused connections to the inference server that are kept; 0 keeps none";

    HeadTimeout: "listener.timeouts.head-timeout", "head-timeout", Form::Duration, Fixed("30s"),
        "For a request head to arrive whole";
    ConnectTimeout: "listener.timeouts.connect-timeout", "connect-timeout", Form::Duration, Fixed("5s"),
        "Until a connection to the inference server stands";
    KeepAliveTimeout: "listener.timeouts.keep-alive-timeout", "keep-alive-timeout", Form::Timeout, Fixed("620s"),
        "How long a client may say nothing between two requests";
    UpstreamIdleTimeout: "listener.timeouts.upstream-idle-timeout", "upstream-idle-timeout", Form::Duration, Fixed("4s"),
        "How long an unused connection to the inference server is kept";
    IdleTimeout: "listener.timeouts.idle-timeout", "idle-timeout", Form::Timeout, Fixed("none"),
        "Silence in both directions during an exchange before it is cut";
}

impl Key {
    /// Place in the file, sections joined by dots.
    pub fn path(self) -> &'static str {
        self.row().path
    }

    /// The flag, without its dashes.
    pub fn flag(self) -> &'static str {
        self.row().flag
    }

    /// The environment variable.
    pub fn variable(self) -> String {
        variable(self.flag())
    }

    /// What it looks like.
    pub fn form(self) -> Form {
        self.row().form
    }

    /// What holds when nobody says anything.
    pub fn default(self) -> Preset {
        self.row().default
    }

    /// What it is, in half a sentence.
    pub fn help(self) -> &'static str {
        self.row().help
    }

    /// The section of the file, without the key's own name.
    pub fn section(self) -> &'static str {
        self.path()
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// The key's own name, without its section.
    pub fn name(self) -> &'static str {
        self.path().rsplit('.').next().unwrap_or_default()
    }

    /// Whether each listener has its own.
    pub fn is_of_listener(self) -> bool {
        self.path().starts_with("listener.")
    }

    /// Whether it means something only where HTTP is understood.
    pub(super) fn is_of_http(self) -> bool {
        matches!(
            self,
            Self::UpstreamHttp
                | Self::Forwarded
                | Self::MaxStreams
                | Self::MaxHead
                | Self::MaxHeaders
                | Self::MaxIdleUpstreams
                | Self::HeadTimeout
                | Self::KeepAliveTimeout
                | Self::UpstreamIdleTimeout
        )
    }

    /// Whether a flag may be repeated to make a list.
    pub fn is_list(self) -> bool {
        matches!(self.form(), Form::Addresses | Form::Names)
    }

    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.path() == path)
    }
}

/// The environment variable of a flag.
pub(super) fn variable(flag: &str) -> String {
    format!("HYBRIDGE_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::policy::Mode;

    #[test]
    fn paths_and_flags_are_unique() {
        for (index, key) in Key::ALL.iter().enumerate() {
            let rest = &Key::ALL[index + 1..];
            assert!(
                rest.iter().all(|other| other.path() != key.path()),
                "{key:?}"
            );
            assert!(
                rest.iter().all(|other| other.flag() != key.flag()),
                "{key:?}"
            );
        }
    }

    #[test]
    fn the_policies_of_the_table_are_those_of_tls() {
        let Form::Choice(words) = Key::Policy.form() else {
            panic!("{:?}", Key::Policy.form());
        };
        assert_eq!(words, Mode::ALL.map(Mode::name));
    }
}
