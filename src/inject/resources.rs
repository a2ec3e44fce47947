//! Quantities and the quality-of-service class: what the sidecar asks for, so that a Guaranteed pod
//! stays Guaranteed and a quota on limits can be met.

use serde_json::{Map, Value, json};

use super::annotations::Request;
use super::pod::{self, Slot};
pub(crate) use crate::budget::connections;

/// A Kubernetes quantity in billionths of its unit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Quantity(i128);

/// Memory request and limit without an annotation: room for 256 connections, as vLLM generates 256
/// sequences at once by default.
pub(crate) const DEFAULT_MEMORY: &str = "128Mi";
/// Less is taken for a slip, such as a unit that was forgotten.
pub(crate) const LEAST_MEMORY: u64 = 32 << 20;

impl Quantity {
    /// The whole units in it: bytes for memory.
    pub(crate) fn whole(self) -> u64 {
        u64::try_from(self.0 / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// Parses `100m`, `0.5`, `64Mi`, `1e3`; `None` for anything else, for zero and for negative values.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits_end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits_end);
        let nano = nano(number)?;
        let value = match suffix
            .strip_prefix(['e', 'E'])
            .filter(|exp| !exp.is_empty())
        {
            Some(exponent) => nano.checked_mul(10_i128.checked_pow(exponent.parse().ok()?)?)?,
            None => scale(nano, suffix)?,
        };
        (value > 0).then_some(Self(value))
    }

    fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }
}

fn nano(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: i128 = if fraction.is_empty() {
        0
    } else {
        let padding = 9_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
        fraction
            .parse::<i128>()
            .ok()?
            .checked_mul(10_i128.pow(padding))?
    };
    whole.checked_mul(1_000_000_000)?.checked_add(fraction)
}

fn scale(nano: i128, suffix: &str) -> Option<i128> {
    let factor: i128 = match suffix {
        "n" => return Some(nano / 1_000_000_000),
        "u" => return Some(nano / 1_000_000),
        "m" => return Some(nano / 1_000),
        "" => 1,
        "k" => 10_i128.pow(3),
        "M" => 10_i128.pow(6),
        "G" => 10_i128.pow(9),
        "T" => 10_i128.pow(12),
        "P" => 10_i128.pow(15),
        "E" => 10_i128.pow(18),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        _ => return None,
    };
    nano.checked_mul(factor)
}

/// Whether every container but ours has equal requests and limits, which makes the pod Guaranteed.
pub(crate) fn is_guaranteed(pod: &Value, ours: &str) -> bool {
    pod::spec(pod).get("resources").is_none_or(Value::is_null)
        && pod::all_slots(pod)
            .filter(|slot| slot.name() != ours)
            .all(|slot| container_is_guaranteed(&slot))
}

fn container_is_guaranteed(slot: &Slot<'_>) -> bool {
    ["cpu", "memory"].iter().all(|resource| {
        let amount = |kind: &str| {
            slot.value
                .get("resources")
                .and_then(|r| r.get(kind))
                .and_then(|r| r.get(resource))
                .map(Quantity::from_json)
        };
        match (amount("limits"), amount("requests")) {
            (Some(Some(_)), None) => true,
            (Some(Some(limit)), Some(Some(request))) => limit == request,
            _ => false,
        }
    })
}

/// The `resources` of the sidecar. Keys that an admission plugin (LimitRanger) added beside ours stay.
pub(crate) fn sidecar(request: &Request, guaranteed: bool, existing: Option<&Value>) -> Value {
    let mut requests = Map::from_iter([
        ("cpu".to_owned(), json!(request.cpu_request)),
        ("memory".to_owned(), json!(request.memory)),
    ]);
    let mut limits = Map::from_iter([("memory".to_owned(), json!(request.memory))]);
    if let Some(cpu) = &request.cpu_limit {
        limits.insert("cpu".into(), json!(cpu));
    } else if guaranteed {
        limits.insert("cpu".into(), json!(request.cpu_request));
    }
    keep_others(&mut requests, existing, "requests");
    keep_others(&mut limits, existing, "limits");
    json!({"limits": limits, "requests": requests})
}

fn keep_others(ours: &mut Map<String, Value>, existing: Option<&Value>, kind: &str) {
    let others = existing
        .and_then(|e| e.get("resources"))
        .and_then(|r| r.get(kind))
        .and_then(Value::as_object);
    for (key, value) in others.into_iter().flatten() {
        ours.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_value_not_by_spelling() {
        for (a, b) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1e3", "1k"),
            (".5", "500m"),
        ] {
            assert_eq!(Quantity::parse(a), Quantity::parse(b), "{a} {b}");
            assert!(Quantity::parse(a).is_some());
        }
        assert!(Quantity::parse("100m") < Quantity::parse("1"));
    }

    #[test]
    fn connections_follow_the_memory_and_are_shared_by_listeners() {
        let bytes = |text| Quantity::parse(text).map_or(0, Quantity::whole);
        assert_eq!(bytes("64Mi"), 64 << 20);
        assert_eq!(connections(bytes(DEFAULT_MEMORY), 1), 256);
        assert_eq!(connections(bytes("64Mi"), 1), 106);
        assert_eq!(connections(bytes("64Mi"), 3), 35);
        assert_eq!(connections(bytes("8Gi"), 1), 10_000);
        assert_eq!(connections(bytes("1"), 1), 1);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for bad in [
            "",
            "m",
            "1.2.3",
            "100mm",
            "-1",
            "0",
            "1 Gi",
            "ten",
            "1e99",
            "99999999999999999999",
            "1Gb",
            "e",
            ".",
        ] {
            assert_eq!(Quantity::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pod_is_guaranteed_only_when_every_container_is() {
        let full = json!({"name": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "1000m"}}});
        let part = json!({"name": "b", "resources": {"limits": {"memory": "1Gi"}}});
        assert!(is_guaranteed(
            &json!({"spec": {"containers": [full]}}),
            "hybridge"
        ));
        assert!(!is_guaranteed(
            &json!({"spec": {"containers": [full, part]}}),
            "hybridge"
        ));
        assert!(!is_guaranteed(
            &json!({"spec": {"containers": [full], "initContainers": [part]}}),
            "hybridge"
        ));
        assert!(is_guaranteed(
            &json!({"spec": {"containers": [full], "initContainers": [{"name": "hybridge"}]}}),
            "hybridge"
        ));
    }
}
