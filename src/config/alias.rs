//! Words that people bring along from other software, each with the word it has here. Data for
//! messages only: none of them is accepted as a value.

use super::key::{Key, Scope};
use crate::redact::Shown;
use crate::suggest::{Aliases, did_you_mean, suggest_among};

/// Values of the settings that take one of a few words.
pub(super) fn of_values(key: Key) -> Aliases {
    match key {
        Key::Protocol => PROTOCOLS,
        Key::UpstreamHttp => UPSTREAM_HTTP,
        Key::Forwarded => FORWARDED,
        Key::Identity => IDENTITY,
        Key::AccessLog => ACCESS_LOG,
        Key::UpstreamProxyProtocol => PROXY_PROTOCOL,
        Key::LogFormat => LOG_FORMATS,
        Key::LogLevel => LOG_LEVELS,
        _ => &[],
    }
}

/// Ends a message about a word that is not understood; `nearest` is what it may stand for.
pub(super) fn hint(written: &Shown, nearest: Option<&str>) -> String {
    match nearest {
        Some("http") if written.to_string().to_ascii_lowercase().starts_with("grpc") => {
            ": gRPC is served by `http`".to_owned()
        }
        nearest => did_you_mean(nearest),
    }
}

const IDENTITY: Aliases = &[
    ("certificate", "client-cert"),
    ("chain", "client-cert-chain"),
    ("facts", "x-forwarded-client-cert"),
    ("rfc9440", "client-cert"),
    ("xfcc", "x-forwarded-client-cert"),
];

const ACCESS_LOG: Aliases = &[
    ("authority", "host"),
    ("certificate", "peer"),
    ("duration", "duration_ms"),
    ("ip", "client"),
    ("latency", "duration_ms"),
    ("off", "none"),
    ("remote_addr", "client"),
    ("status", "code"),
    ("ttfb", "first_byte_ms"),
    ("uri", "path"),
    ("url", "path"),
];

const PROTOCOLS: Aliases = &[
    ("grpc", "http"),
    ("grpcs", "http"),
    ("h1", "http"),
    ("h2", "http"),
    ("h2c", "http"),
    ("http1", "http"),
    ("http/1.1", "http"),
    ("http2", "http"),
    ("http/2", "http"),
    ("https", "http"),
    ("kserve", "http"),
    ("openai", "http"),
    ("rest", "http"),
    ("sse", "http"),
    ("websocket", "http"),
    ("ws", "http"),
    ("wss", "http"),
    ("bytes", "tcp"),
    ("kafka", "tcp"),
    ("l4", "tcp"),
    ("mysql", "tcp"),
    ("opaque", "tcp"),
    ("passthrough", "tcp"),
    ("postgres", "tcp"),
    ("postgresql", "tcp"),
    ("raw", "tcp"),
    ("redis", "tcp"),
    ("resp", "tcp"),
    ("ssl", "tcp"),
    ("stream", "tcp"),
    ("tcp4", "tcp"),
    ("tcp6", "tcp"),
    ("tls", "tcp"),
];

const UPSTREAM_HTTP: Aliases = &[
    ("1.1", "http1"),
    ("h1", "http1"),
    ("http", "http1"),
    ("http/1.1", "http1"),
    ("http1.1", "http1"),
    ("2", "http2"),
    ("grpc", "http2"),
    ("h2", "http2"),
    ("h2c", "http2"),
    ("http/2", "http2"),
    ("automatic", "auto"),
    ("default", "auto"),
    ("detect", "auto"),
];

const FORWARDED: Aliases = &[
    ("add", "append"),
    ("keep", "append"),
    ("trust", "append"),
    ("overwrite", "replace"),
    ("set", "replace"),
    ("strip", "replace"),
];

const PROXY_PROTOCOL: Aliases = &[("v2-ssl", "v2-tls")];

const LOG_FORMATS: Aliases = &[
    ("console", "text"),
    ("human", "text"),
    ("logfmt", "text"),
    ("plain", "text"),
    ("pretty", "text"),
    ("jsonl", "json"),
    ("ndjson", "json"),
];

const LOG_LEVELS: Aliases = &[
    ("all", "trace"),
    ("finest", "trace"),
    ("fine", "debug"),
    ("verbose", "debug"),
    ("default", "info"),
    ("information", "info"),
    ("normal", "info"),
    ("notice", "info"),
    ("warning", "warn"),
    ("alert", "error"),
    ("critical", "error"),
    ("emergency", "error"),
    ("err", "error"),
    ("fatal", "error"),
    ("panic", "error"),
    ("disabled", "off"),
    ("none", "off"),
    ("quiet", "off"),
    ("silent", "off"),
];

/// The one of these flags that another word may stand for; variables are named as flags are.
pub(crate) fn flag_meant<'a>(written: &str, flags: &[&'a str]) -> Option<&'a str> {
    let aliases = FLAGS.iter().chain(LISTENER).chain(KEYS);
    suggest_among(written, flags, aliases)
}

/// What is no key in a file, or is called otherwise there.
const FLAGS: Aliases = &[
    ("cacert", "ca"),
    ("debug", "log-level"),
    ("grace-period", "drain-timeout"),
    ("host", "listen"),
    ("mtls", "client-auth"),
    ("tls-cert", "cert"),
    ("tls-key", "key"),
    ("verbose", "log-level"),
    ("verbosity", "log-level"),
];

/// Names that mean something only beside certain keys: one of another scope may be called the same, and is not meant.
pub(super) fn of_scope(scope: Scope) -> Aliases {
    match scope {
        Scope::Listener => LISTENER,
        Scope::Egress => EGRESS,
        Scope::Process => &[],
    }
}

const LISTENER: Aliases = &[
    ("ca", "client-ca"),
    ("cacert", "client-ca"),
    ("client-cert", "client-ca"),
    ("resumption", "tickets"),
    ("session-tickets", "tickets"),
    ("target", "upstream"),
];

const EGRESS: Aliases = &[
    ("backend", "target"),
    ("cacert", "ca"),
    ("client-ca", "ca"),
    ("client-cert", "cert"),
    ("client-key", "key"),
    ("forward", "target"),
    ("session-tickets", "resumption"),
    ("tickets", "resumption"),
    ("upstream", "target"),
];

/// Names of keys and sections.
pub(super) const KEYS: Aliases = &[
    ("address", "listen"),
    ("addr", "listen"),
    ("bind", "listen"),
    ("port", "listen"),
    ("backend", "upstream"),
    ("forward", "upstream"),
    ("certificate", "cert"),
    ("certificate-file", "cert"),
    ("cert-file", "cert"),
    ("certfile", "cert"),
    ("certs", "cert"),
    ("chain", "cert"),
    ("key-file", "key"),
    ("keyfile", "key"),
    ("private-key", "key"),
    ("private-key-file", "key"),
    ("curves", "groups"),
    ("key-exchange", "groups"),
    ("named-groups", "groups"),
    ("ciphers", "cipher-suites"),
    ("ciphersuites", "cipher-suites"),
    ("suites", "cipher-suites"),
    ("mode", "policy"),
    ("threads", "workers"),
    ("worker-threads", "workers"),
    ("frontend", "listener"),
    ("server", "listener"),
    ("health", "admin"),
    ("metrics", "admin"),
    ("status", "admin"),
    ("logging", "log"),
    ("shutdown", "drain"),
    ("verbosity", "level"),
    ("grace-period", "timeout"),
    ("ssl", "tls"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value_type::ValueType;
    use crate::suggest::suggest_or_alias;

    #[test]
    fn every_alias_stands_for_a_word_there_is() {
        for key in Key::ALL {
            if let ValueType::Choice(words) = key.value_type() {
                for (alias, word) in of_values(*key) {
                    assert!(words.contains(word), "{alias}");
                    assert!(!words.contains(alias), "{alias} is a value itself");
                }
            }
        }
        for scope in [Scope::Listener, Scope::Egress] {
            for (alias, name) in of_scope(scope) {
                let is = |key: &&Key| key.scope() == scope && key.name() == *name;
                assert!(Key::ALL.iter().any(|key| is(&key)), "{alias} -> {name}");
            }
        }
        for (alias, name) in FLAGS {
            // `ca` is one of `probe`.
            let is_flag = *name == "ca" || Key::ALL.iter().any(|key| key.flag() == *name);
            assert!(is_flag, "{alias} -> {name}");
        }
        for (alias, name) in KEYS {
            let is_part = |key: &Key| key.path().split('.').any(|part| part == *name);
            assert!(Key::ALL.iter().any(is_part), "{alias} -> {name}");
        }
    }

    #[test]
    fn aliases_are_spelt_as_they_are_looked_up() {
        let tables = [
            PROTOCOLS,
            UPSTREAM_HTTP,
            FORWARDED,
            PROXY_PROTOCOL,
            LOG_FORMATS,
            LOG_LEVELS,
            FLAGS,
            LISTENER,
            EGRESS,
            KEYS,
        ];
        for table in tables {
            for (alias, word) in table {
                let typed = alias.to_ascii_uppercase().replace('-', "_");
                assert_eq!(suggest_or_alias(&typed, [], table), Some(*word), "{typed}");
            }
        }
    }
}
