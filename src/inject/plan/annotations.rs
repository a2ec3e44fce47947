//! The annotations that tune one pod's injection, parsed. An unknown name or a wrong value is refused,
//! with the right one named. Names are in `known_annotations`, meanings in `docs/kubernetes.md`.

mod choices;
mod clients;
mod egress;
mod egress_env;
mod neighbours;
mod reader;
mod sealed;
mod source;
mod spiffe;
mod together;
mod traces;
mod tunnel;

use serde_json::Value;

use self::reader::{Reader, wrong};
use super::deny::Deny;
use super::names::SHARED_PID;
use super::quantity::Quantity;
use super::settings::Settings;
use crate::tls::policy::Mode as KeyExchange;

pub(crate) use self::choices::{Bind, InitOrder, LogLevel, Mode, Protocol};
pub(crate) use self::clients::Clients;
pub(crate) use self::egress::{Egress, Entry as EgressEntry};
pub(crate) use self::reader::spelling;
pub(crate) use self::sealed::{Identity, Sealed};
pub(crate) use self::source::Source;
pub(crate) use self::spiffe::Agent;
pub(crate) use self::traces::Traces;
pub(crate) use self::tunnel::NO_PORTS;

/// First port of the sidecar in explicit mode.
const FIRST_LISTEN_PORT: u16 = 8443;
/// Memory request and limit without an annotation: enough for 256 connections, as vLLM generates 256
/// sequences at once by default.
pub(crate) const DEFAULT_MEMORY: &str = "128Mi";
/// Less is taken for a slip, such as a unit that was forgotten.
const LEAST_MEMORY: u64 = 32 << 20;

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
    /// What gives certificate, key and CAs instead of files.
    pub(crate) agent: Option<Agent>,
    pub(crate) policy: KeyExchange,
    /// How clients are verified; `None` if they are not asked for a certificate.
    pub(crate) clients: Option<Clients>,
    /// What the namespace says of clients that nobody asks for a certificate.
    pub(crate) unasked: Option<&'static str>,
    /// Keys of session tickets that replicas share.
    pub(crate) ticket_keys: Option<Source>,
    /// A sealed model that is opened before the app starts.
    pub(crate) sealed: Option<Sealed>,
    /// Where the app's own connections go over TLS.
    pub(crate) egress: Option<Egress>,
    /// The sidecar is the far end of tunnels, and puts no port behind TLS.
    pub(crate) tunnel: bool,
    /// Where spans go.
    pub(crate) traces: Option<Traces>,
    /// What concerns other proxies, by the sidecar's flag.
    pub(crate) neighbours: Vec<(&'static str, String)>,
    pub(crate) bind: Bind,
    pub(crate) bind_env: Option<(String, String)>,
    /// Seconds; `None` leaves the choice to the grace period.
    pub(crate) drain_timeout: Option<u64>,
    /// Seconds that the cluster's default allows where the grace period has room for them.
    pub(crate) usual_drain: Option<u64>,
    /// Seconds; `None` leaves the choice to the kind of pod.
    pub(crate) drain_delay: Option<u64>,
    /// Seconds by the default of the namespace or the cluster: a pod of a Job has none, and a short grace
    /// period gets what fits.
    pub(crate) usual_delay: Option<u64>,
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

/// Reads what a pod in `namespace` asks for.
pub(crate) fn parse(
    pod: &Value,
    namespace: Option<&str>,
    settings: &Settings,
) -> Result<Request, Deny> {
    let file = settings.namespace_defaults.as_ref();
    let read = Reader {
        pod,
        of_file: file.and_then(|defaults| defaults.of(namespace?)),
        defaults: &settings.defaults,
    };
    read.refuse_unknown()?;
    let protocol = read.choice("protocol", Protocol::Http)?;
    let agent = spiffe::parse(&read)?;
    let clients = clients::parse(&read, agent.is_some())?;
    let tunnel = tunnel::parse(&read, clients.as_ref())?;
    let egress = egress::parse(&read, settings)?;
    let mode = read.choice("mode", Mode::Takeover)?;
    let (bind, bind_env) = together::bind(&read, mode)?;
    let over_http = protocol == Protocol::Http && !tunnel;
    let mut neighbours = neighbours::parse(&read, over_http, clients.is_some())?;
    let own_drain = read.own("drain-timeout").is_some();
    let own_delay = read.own("drain-delay").is_some();
    let request = Request {
        ports: together::ports(&read, tunnel || egress.is_some())?,
        mode,
        listen_ports: together::listen_ports(&read, mode)?,
        protocol,
        tls_secret: read
            .secret("tls-secret")?
            .unwrap_or_else(|| settings.tls_secret.clone()),
        agent,
        policy: read.policy()?.unwrap_or(settings.policy),
        clients,
        unasked: clients::unasked(&read),
        ticket_keys: together::ticket_keys(&read, &mut neighbours)?,
        neighbours,
        sealed: sealed::parse(&read)?,
        egress,
        tunnel,
        traces: traces::parse(&read)?,
        bind,
        bind_env,
        drain_timeout: read.duration("drain-timeout")?.filter(|_| own_drain),
        usual_drain: read.duration("drain-timeout")?.filter(|_| !own_drain),
        drain_delay: read.delay("drain-delay")?.filter(|_| own_delay),
        usual_delay: read.delay("drain-delay")?.filter(|_| !own_delay),
        init_order: read.choice("init-order", InitOrder::First)?,
        cpu_request: read
            .quantity("cpu-request")?
            .unwrap_or_else(|| "100m".into()),
        cpu_limit: read.quantity("cpu-limit")?,
        memory: read
            .quantity("memory")?
            .unwrap_or_else(|| DEFAULT_MEMORY.into()),
        log_level: read.choice("log-level", LogLevel::Info)?,
        allow_shared_pid: read.flag_of_policies(SHARED_PID)?,
    };
    refuse_resources(&request)?;
    Ok(request)
}

fn refuse_resources(request: &Request) -> Result<(), Deny> {
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
