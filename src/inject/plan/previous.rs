//! What an earlier run of the injector left in a pod, told apart from what merely has our name.

use serde_json::Value;

use super::deny::{Deny, Reason};
use super::names::{
    AGENT_VOLUME, NAME, OPENED_VOLUME, OPENER, SEALED_KEYS_VOLUME, STATUS, TLS_VOLUME,
};
use super::pod::{self, List};
use super::settings::Settings;
use super::sidecar::{existing, list};
use crate::probes::ProbeTable;

/// What an earlier run left in the pod.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    pub(crate) table: ProbeTable,
    pub(crate) ports: Vec<u16>,
}

/// Reads what an earlier run left; a container or volume that merely has our name is refused.
pub(crate) fn read(pod: &Value, settings: &Settings) -> Result<Previous, Deny> {
    let status = pod::metadata(pod, "annotations")
        .and_then(|a| a.get(STATUS))
        .and_then(Value::as_str);
    for (name, expected) in [(NAME, list(settings)), (OPENER, List::Init)] {
        for slot in pod::all_slots(pod).filter(|slot| slot.name() == name) {
            if status.is_none() || slot.list != expected {
                return Err(taken(
                    &format!("spec.{} has a container", slot.list.key()),
                    name,
                ));
            }
        }
    }
    let volumes = pod::array(pod::spec(pod), "volumes");
    let ours = [TLS_VOLUME, AGENT_VOLUME, OPENED_VOLUME, SEALED_KEYS_VOLUME];
    let found = ours
        .into_iter()
        .find(|name| volumes.iter().any(|v| pod::name(v) == *name));
    if let Some(name) = found.filter(|_| status.is_none()) {
        return Err(taken("the pod has a volume", name));
    }
    let table = existing(pod, settings)
        .and_then(|slot| pod::env(slot.value, "HYBRIDGE_PROBES"))
        .map(ProbeTable::from_json);
    Ok(Previous {
        table: table.and_then(Result::ok).unwrap_or_default(),
        ports: status.map(status_ports).unwrap_or_default(),
    })
}

fn taken(what: &str, name: &str) -> Deny {
    Reason::NameTaken.deny(format!(
            "{what} named {name:?} that this injector did not make; rename it, or label the pod hybridge.dev/inject: disabled if the sidecar was written by hand"
        ))
}

fn status_ports(status: &str) -> Vec<u16> {
    let parsed: Value = serde_json::from_str(status).unwrap_or_default();
    pod::array(&parsed, "ports")
        .iter()
        .filter_map(pod::port_number)
        .collect()
}
