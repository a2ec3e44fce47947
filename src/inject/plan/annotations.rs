//! The annotations that tune one pod's injection, parsed. An unknown name or a wrong value is refused,
//! with the right one named. Names are in `known_annotations`, meanings in `docs/kubernetes.md`.

mod capture;
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
mod values;

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
pub(crate) use self::sealed::{Identity, Sealed};
pub(crate) use self::source::Source;
pub(crate) use self::spiffe::Agent;
pub(crate) use self::traces::Traces;
pub(crate) use self::tunnel::NO_PORTS;
pub(crate) use self::values::spelling;

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
    /// Annotations that are left out, each with the one nearer to the pod that it contradicts.
    pub(crate) left_out: Vec<(String, String)>,
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
    read(&Reader::new(pod, namespace, settings), settings)
}

/// Reads what pods of `namespace` ask for that say nothing themselves, and refuses what no other pod could use.
pub(crate) fn parse_defaults(namespace: &str, settings: &Settings) -> Result<Request, Deny> {
    let says_nothing = Value::Null;
    let reader = Reader::new(&says_nothing, Some(namespace), settings);
    together::refuse_keys_and_identity(&reader)?;
    read(&reader, settings)
}

/// How messages call the annotation `name` of a pod in `namespace`, which may be the namespace's.
pub(crate) fn title(
    pod: &Value,
    namespace: Option<&str>,
    settings: &Settings,
    name: &str,
) -> String {
    Reader::new(pod, namespace, settings).title(name)
}

fn read(read: &Reader<'_>, settings: &Settings) -> Result<Request, Deny> {
    read.refuse_unknown()?;
    let protocol = read.choice("protocol", Protocol::Http)?;
    let agent = spiffe::parse(read)?;
    let clients = clients::parse(read, agent.is_some())?;
    let tunnel = tunnel::parse(read, clients.as_ref())?;
    let egress = egress::parse(read, settings)?;
    let mode = together::mode(read)?;
    let (bind, bind_env) = together::bind(read, mode)?;
    let over_http = protocol == Protocol::Http && !tunnel;
    let mut neighbours = neighbours::parse(read, over_http, clients.is_some())?;
    let own_drain = read.own("drain-timeout").is_some();
    let own_delay = read.own("drain-delay").is_some();
    let (cpu_request, cpu_limit) = together::cpu(read)?;
    let request = Request {
        ports: together::ports(read, tunnel || egress.is_some())?,
        mode,
        listen_ports: together::listen_ports(read, mode)?,
        protocol,
        tls_secret: read
            .secret("tls-secret")?
            .unwrap_or_else(|| settings.tls_secret.clone()),
        agent,
        policy: read.policy("policy")?.unwrap_or(settings.policy),
        clients,
        unasked: clients::unasked(read),
        ticket_keys: together::ticket_keys(read, &mut neighbours)?,
        neighbours,
        sealed: sealed::parse(read)?,
        egress,
        tunnel,
        traces: traces::parse(read)?,
        bind,
        bind_env,
        drain_timeout: read.duration("drain-timeout")?.filter(|_| own_drain),
        usual_drain: read.duration("drain-timeout")?.filter(|_| !own_drain),
        drain_delay: read.delay("drain-delay")?.filter(|_| own_delay),
        usual_delay: read.delay("drain-delay")?.filter(|_| !own_delay),
        init_order: read.choice("init-order", InitOrder::First)?,
        cpu_request,
        cpu_limit,
        memory: memory(read)?,
        log_level: read.choice("log-level", LogLevel::Info)?,
        allow_shared_pid: read.flag_of_policies(SHARED_PID)?,
        left_out: read.left_out(),
    };
    Ok(request)
}

fn memory(read: &Reader<'_>) -> Result<String, Deny> {
    let name = "memory";
    let memory = read.quantity(name)?;
    let memory = memory.unwrap_or_else(|| DEFAULT_MEMORY.into());
    if Quantity::parse(&memory).map_or(0, Quantity::whole) < LEAST_MEMORY {
        return Err(wrong(
            name,
            &format!(
                "is {memory}, which the sidecar cannot start in; give at least {}Mi",
                LEAST_MEMORY >> 20
            ),
        ));
    }
    Ok(memory)
}
