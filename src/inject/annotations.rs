//! The annotations that tune one pod's injection, parsed. An unknown name or a wrong value is refused,
//! with the right one named. Names and meanings are in `annotation_table`.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde_json::Value;

use super::annotation_table::{PREFIX, is_known, unknown_message};
use super::defaults::Defaults;
use super::deny::{Deny, Reason};
use super::pod;
use super::resources::{DEFAULT_MEMORY, LEAST_MEMORY, Quantity};
use super::settings::{self, Settings};
use crate::time::parse_duration;
use crate::tls::policy::Mode as KeyExchange;

/// Written by the injector, never read as a wish.
pub(crate) const STATUS: &str = "hybridge.dev/status";
/// First port of the sidecar in explicit mode.
const FIRST_LISTEN_PORT: u16 = 8443;

/// How the app is put behind the sidecar.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    Takeover,
    Explicit,
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
pub(crate) fn spelling(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|v| v.get_name().to_owned())
        .unwrap_or_default()
}

/// What one pod asks for, complete.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "cpu_request is the name of the annotation"
)]
pub(crate) struct Request {
    /// As written: numbers or names; `None` when the annotation is absent.
    pub(crate) ports: Option<Vec<String>>,
    pub(crate) mode: Mode,
    /// Empty means 8443, 8444, ...
    pub(crate) listen_ports: Vec<u16>,
    pub(crate) protocol: Protocol,
    pub(crate) tls_secret: String,
    pub(crate) policy: KeyExchange,
    pub(crate) bind: Bind,
    pub(crate) bind_env: Option<(String, String)>,
    /// Seconds; `None` leaves the choice to the grace period.
    pub(crate) drain_timeout: Option<u64>,
    /// Seconds that the cluster's default allows where the grace period has room for them.
    pub(crate) usual_drain: Option<u64>,
    /// Seconds; `None` leaves the choice to the kind of pod.
    pub(crate) drain_delay: Option<u64>,
    pub(crate) init_order: InitOrder,
    pub(crate) cpu_request: String,
    pub(crate) cpu_limit: Option<String>,
    pub(crate) memory: String,
    pub(crate) log_level: LogLevel,
    pub(crate) allow_shared_pid: bool,
}

impl Request {
    pub(crate) fn memory_bytes(&self) -> u64 {
        Quantity::parse(&self.memory).map_or(0, Quantity::whole)
    }

    pub(crate) fn listen_port(&self, position: usize) -> Option<u16> {
        self.listen_ports
            .get(position)
            .copied()
            .or_else(|| FIRST_LISTEN_PORT.checked_add(u16::try_from(position).ok()?))
    }
}

pub(crate) fn parse(pod: &Value, settings: &Settings) -> Result<Request, Deny> {
    let namespace = pod
        .get("metadata")
        .and_then(|metadata| pod::string(metadata, "namespace"));
    let read = Reader {
        pod,
        of_namespace: settings
            .namespace_defaults
            .as_ref()
            .and_then(|defaults| defaults.of(namespace?)),
        defaults: &settings.defaults,
    };
    read.refuse_unknown()?;
    let own_drain = read.own("drain-timeout").is_some();
    let request = Request {
        ports: read.list("ports")?,
        mode: read.choice("mode", Mode::Takeover)?,
        listen_ports: read.listen_ports()?,
        protocol: read.choice("protocol", Protocol::Http)?,
        tls_secret: read
            .secret("tls-secret")?
            .unwrap_or_else(|| settings.tls_secret.clone()),
        policy: read.policy()?.unwrap_or(settings.policy),
        bind: read.choice("bind", Bind::Auto)?,
        bind_env: read.bind_env()?,
        drain_timeout: read.duration("drain-timeout")?.filter(|_| own_drain),
        usual_drain: read.duration("drain-timeout")?.filter(|_| !own_drain),
        drain_delay: read.delay("drain-delay")?,
        init_order: read.choice("init-order", InitOrder::First)?,
        cpu_request: read
            .quantity("cpu-request")?
            .unwrap_or_else(|| "100m".into()),
        cpu_limit: read.quantity("cpu-limit")?,
        memory: read
            .quantity("memory")?
            .unwrap_or_else(|| DEFAULT_MEMORY.into()),
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
    if request.memory_bytes() < LEAST_MEMORY {
        return Err(wrong(
            "memory",
            &format!(
                "is {}, which the sidecar cannot start in; give at least {}Mi",
                request.memory,
                LEAST_MEMORY >> 20
            ),
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
    /// What counts in the pod's namespace where the pod says nothing.
    of_namespace: Option<&'a BTreeMap<String, String>>,
    defaults: &'a Defaults,
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

    /// The pod's own value, else its namespace's, else the cluster's.
    fn text(&self, name: &str) -> Option<&str> {
        self.own(name)
            .or_else(|| self.of_namespace?.get(name).map(|value| value.trim()))
            .or_else(|| self.defaults.get(name))
    }

    fn own(&self, name: &str) -> Option<&str> {
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
        let values: Vec<_> = T::value_variants().iter().map(|v| spelling(v)).collect();
        let what = format!("use one of {}", values.join(", "));
        let parse = |text: &str| T::from_str(text, false).ok();
        Ok(self.parsed(name, &what, parse)?.unwrap_or(default))
    }

    fn policy(&self) -> Result<Option<KeyExchange>, Deny> {
        let what = "use one of hybrid-preferred, hybrid-required, classical-only";
        self.parsed("policy", what, |text| KeyExchange::parse(text).ok())
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

    fn delay(&self, name: &str) -> Result<Option<u64>, Deny> {
        self.parsed(
            name,
            "give a whole number of seconds, minutes or hours, such as 0s or 15s",
            |text| match text {
                "0s" | "0m" | "0h" => Some(0),
                text => seconds(text),
            },
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

/// `90s`, `5m` or `1h` in seconds, zero excluded; Kubernetes counts grace periods in whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let duration = parse_duration(text)?;
    (duration.subsec_nanos() == 0)
        .then_some(duration.as_secs())
        .filter(|seconds| *seconds > 0)
}
