//! The annotations that tune one pod's injection: the table that the documentation is generated
//! from, and its parser. An unknown name or a wrong value is refused, with the right one named.

use clap::ValueEnum;
use serde_json::Value;

use super::deny::{Deny, Reason};
use super::pod;
use super::resources::Quantity;
use super::settings::{self, Settings};

pub(crate) const PREFIX: &str = "hybridge.dev/";
/// Written by the injector, never read as a wish.
pub(crate) const STATUS: &str = "hybridge.dev/status";
/// First port of the sidecar in explicit mode.
const FIRST_LISTEN_PORT: u16 = 8443;

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
        meaning: "Ports of the app to put behind TLS, as numbers or names, separated by commas. Required unless exactly one TCP port is declared.",
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
        name: "client-ca",
        default: "none",
        meaning: "Secret with `ca.crt`: clients must show a certificate that it signed.",
    },
    Row {
        name: "policy",
        default: "the injector's `--default-policy`",
        meaning: "`hybrid-preferred`, `hybrid-required` or `classical-only`.",
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
        default: "64Mi",
        meaning: "Memory request and limit of the sidecar.",
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

/// Whether `name` (without prefix) is in the table.
pub(crate) fn is_known(name: &str) -> bool {
    TABLE.iter().any(|row| row.name == name)
}

/// How the app is put behind the sidecar.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    Takeover,
    Explicit,
}

/// Which key exchanges the sidecar accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Policy {
    /// Hybrid for every client that offers it, classical for the others.
    HybridPreferred,
    /// Hybrid or refused.
    HybridRequired,
    /// Never hybrid; for comparison.
    ClassicalOnly,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Bind {
    Auto,
    None,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum InitOrder {
    First,
    Last,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Protocol {
    Http,
    Tcp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The spelling of a value, as in the table.
pub(crate) fn spelling(value: impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|v| v.get_name().to_owned())
        .unwrap_or_default()
}

/// What one pod asks for, complete.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// As written: numbers or names; `None` when the annotation is absent.
    pub(crate) ports: Option<Vec<String>>,
    pub(crate) mode: Mode,
    /// Empty means 8443, 8444, ...
    pub(crate) listen_ports: Vec<u16>,
    pub(crate) protocol: Protocol,
    pub(crate) tls_secret: String,
    pub(crate) client_ca: Option<String>,
    pub(crate) policy: Policy,
    pub(crate) bind: Bind,
    pub(crate) bind_env: Option<(String, String)>,
    /// Seconds; `None` leaves the choice to the grace period.
    pub(crate) drain_timeout: Option<u64>,
    pub(crate) init_order: InitOrder,
    pub(crate) cpu_request: String,
    pub(crate) cpu_limit: Option<String>,
    pub(crate) memory: String,
    pub(crate) log_level: LogLevel,
    pub(crate) allow_shared_pid: bool,
}

impl Request {
    pub(crate) fn listen_port(&self, position: usize) -> Option<u16> {
        self.listen_ports
            .get(position)
            .copied()
            .or_else(|| FIRST_LISTEN_PORT.checked_add(u16::try_from(position).ok()?))
    }
}

pub(crate) fn parse(pod: &Value, settings: &Settings) -> Result<Request, Deny> {
    let read = Reader { pod };
    read.refuse_unknown()?;
    let request = Request {
        ports: read.list("ports")?,
        mode: read.choice("mode", Mode::Takeover)?,
        listen_ports: read.listen_ports()?,
        protocol: read.choice("protocol", Protocol::Http)?,
        tls_secret: read
            .secret("tls-secret")?
            .unwrap_or_else(|| settings.tls_secret.clone()),
        client_ca: read.secret("client-ca")?,
        policy: read.choice("policy", settings.policy)?,
        bind: read.choice("bind", Bind::Auto)?,
        bind_env: read.bind_env()?,
        drain_timeout: read.duration("drain-timeout")?,
        init_order: read.choice("init-order", InitOrder::First)?,
        cpu_request: read
            .quantity("cpu-request")?
            .unwrap_or_else(|| "100m".into()),
        cpu_limit: read.quantity("cpu-limit")?,
        memory: read.quantity("memory")?.unwrap_or_else(|| "64Mi".into()),
        log_level: read.choice("log-level", LogLevel::Info)?,
        allow_shared_pid: read.flag("allow-shared-pid")?,
    };
    refuse_contradictions(&request)?;
    Ok(request)
}

fn refuse_contradictions(request: &Request) -> Result<(), Deny> {
    if request.mode == Mode::Takeover && !request.listen_ports.is_empty() {
        return Err(wrong(
            "listen-port",
            "has a meaning only with mode: explicit; in takeover the sidecar listens on the app's own port",
        ));
    }
    if request.bind == Bind::None && request.bind_env.is_some() {
        return Err(wrong(
            "bind-env",
            "contradicts bind: none; remove one of the two",
        ));
    }
    if request.mode == Mode::Explicit && request.bind_env.is_some() {
        return Err(wrong(
            "bind-env",
            "has a meaning only with mode: takeover; explicit leaves the app where it is",
        ));
    }
    let limit = request.cpu_limit.as_deref().and_then(Quantity::parse);
    if limit.is_some_and(|limit| Some(limit) < Quantity::parse(&request.cpu_request)) {
        return Err(wrong(
            "cpu-limit",
            &format!(
                "is below cpu-request {:?}; raise it or lower the request",
                request.cpu_request
            ),
        ));
    }
    Ok(())
}

fn wrong(name: &str, what: &str) -> Deny {
    Deny::new(
        Reason::AnnotationValue,
        format!("annotation {PREFIX}{name} {what}"),
    )
}

struct Reader<'a> {
    pod: &'a Value,
}

impl Reader<'_> {
    fn refuse_unknown(&self) -> Result<(), Deny> {
        let annotations = pod::metadata(self.pod, "annotations").into_iter().flatten();
        for (key, _) in annotations {
            if let Some(name) = key.strip_prefix(PREFIX).filter(|name| !is_known(name)) {
                return Err(Deny::new(Reason::UnknownAnnotation, unknown_message(name)));
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        pod::metadata(self.pod, "annotations")?
            .get(&format!("{PREFIX}{name}"))?
            .as_str()
            .map(str::trim)
    }

    fn parsed<T>(
        &self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Deny> {
        self.text(name)
            .map(|text| parse(text).ok_or_else(|| wrong(name, &format!("is {text:?}; {what}"))))
            .transpose()
    }

    fn choice<T: ValueEnum>(&self, name: &str, default: T) -> Result<T, Deny> {
        let values: Vec<_> = T::value_variants()
            .iter()
            .map(|v| spelling(v.clone()))
            .collect();
        let what = format!("use one of {}", values.join(", "));
        let parse = |text: &str| T::from_str(text, false).ok();
        Ok(self.parsed(name, &what, parse)?.unwrap_or(default))
    }

    fn flag(&self, name: &str) -> Result<bool, Deny> {
        Ok(self
            .parsed(name, "use \"true\" or \"false\"", |t| t.parse().ok())?
            .unwrap_or(false))
    }

    fn list(&self, name: &str) -> Result<Option<Vec<String>>, Deny> {
        self.parsed(
            name,
            "give port numbers or names separated by commas, such as \"8000,8001\"",
            |text| {
                let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
                items.iter().all(|item| !item.is_empty()).then_some(items)
            },
        )
    }

    fn listen_ports(&self) -> Result<Vec<u16>, Deny> {
        let ports = self.parsed("listen-port", "give port numbers from 1 to 65535", |text| {
            text.split(',')
                .map(|p| p.trim().parse::<u16>().ok().filter(|n| *n != 0))
                .collect::<Option<Vec<_>>>()
        })?;
        Ok(ports.unwrap_or_default())
    }

    fn secret(&self, name: &str) -> Result<Option<String>, Deny> {
        self.parsed(
            name,
            "give the name of a Secret in the pod's namespace",
            |text| settings::secret_name(text).ok(),
        )
    }

    fn quantity(&self, name: &str) -> Result<Option<String>, Deny> {
        self.parsed(
            name,
            "give a quantity above zero, such as 100m or 64Mi",
            |text| Quantity::parse(text).map(|_| text.to_owned()),
        )
    }

    fn duration(&self, name: &str) -> Result<Option<u64>, Deny> {
        self.parsed(
            name,
            "give a whole number of seconds, minutes or hours, such as 90s, 5m or 1h",
            seconds,
        )
    }

    fn bind_env(&self) -> Result<Option<(String, String)>, Deny> {
        self.parsed("bind-env", "give NAME or NAME=value", |text| {
            let (name, value) = text.split_once('=').unwrap_or((text, "127.0.0.1"));
            let valid = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            (!name.is_empty()
                && name.chars().all(valid)
                && !name.starts_with(|c: char| c.is_ascii_digit()))
            .then(|| (name.to_owned(), value.to_owned()))
        })
    }
}

/// `90s`, `5m` or `1h` in seconds, zero excluded.
fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(factor).filter(|n| *n > 0)
}

fn unknown_message(name: &str) -> String {
    if name == "inject" || name == "injection" {
        return format!(
            "{PREFIX}{name} is a label, not an annotation; move it to metadata.labels of the pod (inject) or the namespace (injection)"
        );
    }
    let nearest = TABLE
        .iter()
        .map(|row| (strsim::damerau_levenshtein(row.name, name), row.name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match nearest {
        Some((_, known)) => {
            format!("annotation {PREFIX}{name} is not known; did you mean {PREFIX}{known}?")
        }
        None => format!(
            "annotation {PREFIX}{name} is not known; known are {}",
            known_names()
        ),
    }
}

fn known_names() -> String {
    TABLE
        .iter()
        .map(|row| row.name)
        .collect::<Vec<_>>()
        .join(", ")
}

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
