//! Servers with several listeners: Triton, MLServer and TorchServe. Which ports they have, and which of
//! them are closed to the network when one is moved.

use serde_json::Value;

use super::edit::Edit;
use crate::inject::plan::argv::{find_flag, flag_value};
use crate::inject::plan::catalog::{self, Binding, Server};
use crate::inject::plan::deny::Deny;
use crate::inject::plan::names::LOOPBACK;
use crate::inject::plan::pod;
use crate::inject::plan::trace::Trace;

/// One listener: its name, and the flag or variable of its port with the default.
type Row = (&'static str, &'static str, u16);

const TRITON: &[Row] = &[
    ("HTTP", "--http-port", 8000),
    ("gRPC", "--grpc-port", 8001),
    ("metrics", "--metrics-port", 8002),
];
const MLSERVER: &[Row] = &[
    ("HTTP", "MLSERVER_HTTP_PORT", 8080),
    ("gRPC", "MLSERVER_GRPC_PORT", 8081),
    ("metrics", "MLSERVER_METRICS_PORT", 8082),
];
/// Triton's listeners can be switched off.
const TRITON_SWITCHES: &[(&str, &str)] = &[
    ("HTTP", "--allow-http"),
    ("gRPC", "--allow-grpc"),
    ("metrics", "--allow-metrics"),
];

fn listeners(server: &Server, container: &Value) -> Vec<(&'static str, u16)> {
    let (rows, of_flags) = match server.binding {
        Binding::Triton => (TRITON, true),
        Binding::Env(_) if server.ports.len() > 1 => (MLSERVER, false),
        _ => return Vec::new(),
    };
    let enabled = |what: &str| {
        let switch = TRITON_SWITCHES.iter().find(|(name, _)| *name == what);
        !of_flags
            || switch.is_none_or(|(_, flag)| {
                !matches!(flag_value(container, flag), Some("false" | "False" | "0"))
            })
    };
    rows.iter()
        .filter(|(what, ..)| enabled(what))
        .map(|(what, setting, default)| {
            let value = if of_flags {
                flag_value(container, setting)
            } else {
                pod::env(container, setting)
            };
            (
                *what,
                value.and_then(|v| v.parse().ok()).unwrap_or(*default),
            )
        })
        .collect()
}

/// The ports that the command line fixes; empty where it does not.
pub(super) fn by_flags(server: &Server, container: &Value) -> Vec<u16> {
    if server.binding == Binding::Triton {
        let all = listeners(server, container);
        return all.into_iter().map(|(_, port)| port).collect();
    }
    catalog::moved_port(server, container).into_iter().collect()
}

/// Listeners that move with those asked for, said with their real numbers.
pub(super) fn moved_with(
    server: &Server,
    container: &Value,
    ports: &[u16],
    trace: &mut Trace,
) -> Vec<u16> {
    let name = pod::name(container);
    let mut closed = Vec::new();
    for (what, port) in listeners(server, container) {
        // Triton's metrics have an address of their own.
        let stays = server.binding == Binding::Triton && what == "metrics";
        if stays || ports.contains(&port) {
            continue;
        }
        trace.warn(format!("container {name}: {}'s {what} listener is moved to loopback too; add port {port} to hybridge.dev/ports if clients use it", server.title));
        closed.push(port);
    }
    if server.title == "Ray Serve" {
        trace.warn(format!("container {name}: a Serve configuration that is deployed (RayService's serveConfigV2) wins, and listens on 0.0.0.0 unless its http_options.host says otherwise; set that to {LOOPBACK}"));
    }
    closed
}

/// Triton's metrics follow the HTTP address unless told otherwise: kept scrapable when not put behind TLS.
pub(super) fn triton_flags(
    container: &Value,
    ports: &[u16],
    address: &'static str,
) -> Vec<(&'static str, &'static str)> {
    let mut flags = vec![("--http-address", address), ("--grpc-address", address)];
    let metrics = flag_value(container, "--metrics-port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(8002);
    if ports.contains(&metrics) {
        flags.push(("--metrics-address", address));
    } else if find_flag(container, "--metrics-address").is_none() {
        flags.push(("--metrics-address", "0.0.0.0"));
    }
    flags
}

/// TorchServe reads TS_* only when its configuration allows it, which the manifest does not show.
pub(super) fn torchserve(
    edit: &mut Edit<'_>,
    container: &Value,
    ports: &[u16],
    address: &str,
    trace: &mut Trace,
) -> Result<(), Deny> {
    let name = pod::name(container);
    let roles = [
        (8080, "TS_INFERENCE_ADDRESS"),
        (8081, "TS_MANAGEMENT_ADDRESS"),
        (8082, "TS_METRICS_ADDRESS"),
    ];
    for port in ports {
        let role = roles
            .iter()
            .find(|(number, _)| number == port)
            .map(|(_, variable)| *variable);
        let variable = role.unwrap_or("TS_INFERENCE_ADDRESS");
        let value = format!("http://{address}:{port}");
        trace.step(
            format!("bind: {variable}={value} in container {name}"),
            "TorchServe is recognised and must listen on loopback only",
        );
        edit.set_env(variable, &value)?;
    }
    trace.warn(format!(
        "container {name}: TorchServe reads TS_* variables only with enable_envvars_config=true in its config.properties; without it, set the addresses there"
    ));
    Ok(())
}
