//! Reading one annotation: its value by precedence, its form, and the refusal of a wrong one.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use clap::ValueEnum;
use serde_json::Value;

use crate::inject::plan::deny::{Deny, Reason};
use crate::inject::plan::known_annotations::{is_known, unknown_message};
use crate::inject::plan::names::{NAMESPACE_PREFIX, PREFIX};
use crate::inject::plan::pod;
use crate::inject::plan::quantity::Quantity;
use crate::inject::plan::settings::{self, Defaults};
use crate::redact::scrub;
use crate::time::parse_duration;
use crate::tls::policy::Mode as KeyExchange;

/// Characters of a value that a refusal repeats.
const LONGEST_VALUE: usize = 200;
/// Places where one sidecar listens at most. Each costs memory, and no pod has nearly as many.
const MOST_LISTENERS: usize = 256;

/// Where a value is looked for: the pod, its namespace, the cluster.
pub(super) struct Reader<'a> {
    pub(super) pod: &'a Value,
    /// What the operator wrote for the pod's namespace.
    pub(super) of_file: Option<&'a BTreeMap<String, String>>,
    pub(super) defaults: &'a Defaults,
}

/// Who says a value. The nearer it is to the pod, the more it counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Level {
    Cluster,
    /// The operator's file of defaults by namespace.
    File,
    /// An annotation of the namespace, which the API server copied to the pod.
    Namespace,
    Pod,
}

impl Reader<'_> {
    pub(super) fn refuse_unknown(&self) -> Result<(), Deny> {
        let annotations = pod::metadata(self.pod, "annotations").into_iter().flatten();
        for (key, _) in annotations {
            let name = key
                .strip_prefix(PREFIX)
                .or_else(|| key.strip_prefix(NAMESPACE_PREFIX));
            if let Some(name) = name.filter(|name| !is_known(name)) {
                return Err(Reason::UnknownAnnotation.deny(unknown_message(name)));
            }
        }
        Ok(())
    }

    /// The pod's own value, else its namespace's, else the cluster's.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.said(name).map(|(_, text)| text)
    }

    /// Who says it; `None`, which is less than any other, if nobody does.
    pub(super) fn level(&self, name: &str) -> Option<Level> {
        self.said(name).map(|(level, _)| level)
    }

    /// A value that means nothing in such a pod: a slip if the pod itself says it; what its namespace says counts for
    /// other pods.
    pub(super) fn pass_over(&self, name: &str, problem: &str) -> Result<(), Deny> {
        match self.own(name) {
            Some(_) => Err(wrong(name, problem)),
            None => Ok(()),
        }
    }

    /// Whether `name` is nearer to the pod than what it contradicts; both from one place are a slip.
    pub(super) fn outranks(&self, name: &str, other: &str, problem: &str) -> Result<bool, Deny> {
        match self.level(name).cmp(&self.level(other)) {
            Ordering::Less => Ok(false),
            Ordering::Greater => Ok(true),
            Ordering::Equal => Err(wrong(name, problem)),
        }
    }

    fn said(&self, name: &str) -> Option<(Level, &str)> {
        let copied = || self.as_written(NAMESPACE_PREFIX, name).map(str::trim);
        let of_file = || Some(self.of_file?.get(name)?.trim());
        let own = self.own(name).map(|text| (Level::Pod, text));
        own.or_else(|| Some((Level::Namespace, copied()?)))
            .or_else(|| Some((Level::File, of_file()?)))
            .or_else(|| Some((Level::Cluster, self.defaults.get(name)?)))
    }

    pub(super) fn own(&self, name: &str) -> Option<&str> {
        self.as_written(PREFIX, name).map(str::trim)
    }

    fn as_written(&self, prefix: &str, name: &str) -> Option<&str> {
        pod::metadata(self.pod, "annotations")?
            .get(&format!("{prefix}{name}"))?
            .as_str()
    }

    pub(super) fn parsed<T>(
        &self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Deny> {
        self.text(name)
            .map(|text| {
                parse(text).ok_or_else(|| wrong(name, &format!("is {}; {what}", quoted(text))))
            })
            .transpose()
    }

    pub(super) fn choice<T: ValueEnum>(&self, name: &str, default: T) -> Result<T, Deny> {
        let values: Vec<_> = T::value_variants().iter().map(|v| spelling(v)).collect();
        let grpc = self
            .text(name)
            .filter(|text| text.eq_ignore_ascii_case("grpc"));
        let hint = grpc.filter(|_| values.iter().any(|value| value == "http"));
        let hint = hint.map_or("", |_| "; gRPC is served by http");
        let what = format!("use one of {}{hint}", values.join(", "));
        let parse = |text: &str| T::from_str(text, false).ok();
        Ok(self.parsed(name, &what, parse)?.unwrap_or(default))
    }

    pub(super) fn policy(&self) -> Result<Option<KeyExchange>, Deny> {
        let what = "use one of hybrid-preferred, hybrid-required, pq-required, classical-only";
        self.parsed("policy", what, |text| KeyExchange::parse(text).ok())
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Deny> {
        Ok(self
            .parsed(name, "use \"true\" or \"false\"", |t| t.parse().ok())?
            .unwrap_or(false))
    }

    /// A flag that the policies read too: on the pod alone, and without trimming its value.
    pub(super) fn flag_of_policies(&self, name: &str) -> Result<bool, Deny> {
        match self.as_written(PREFIX, name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(text) => Err(wrong(
                name,
                &format!(
                    "is {}; use \"true\" or \"false\", without spaces",
                    quoted(text)
                ),
            )),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<String>>, Deny> {
        self.parsed(
            name,
            match name {
                "ports" => "give port numbers or names separated by commas, such as \"8000,8001\"",
                _ => "give values separated by commas, none of them empty",
            },
            |text| {
                let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
                items.iter().all(|item| !item.is_empty()).then_some(items)
            },
        )
    }

    pub(super) fn listen_ports(&self) -> Result<Vec<u16>, Deny> {
        let ports = self.parsed("listen-port", "give port numbers from 1 to 65535", |text| {
            text.split(',')
                .map(|p| p.trim().parse::<u16>().ok().filter(|n| *n != 0))
                .collect::<Option<Vec<_>>>()
        })?;
        Ok(ports.unwrap_or_default())
    }

    pub(super) fn secret(&self, name: &str) -> Result<Option<String>, Deny> {
        self.parsed(
            name,
            "give the name of a Secret in the pod's namespace",
            |text| settings::secret_name(text).ok(),
        )
    }

    pub(super) fn quantity(&self, name: &str) -> Result<Option<String>, Deny> {
        self.parsed(
            name,
            "give a quantity above zero, such as 100m or 64Mi",
            |text| Quantity::parse(text).map(|_| text.to_owned()),
        )
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<u64>, Deny> {
        self.parsed(
            name,
            "give a whole number of seconds, minutes or hours, such as 90s, 5m or 1h",
            seconds,
        )
    }

    pub(super) fn delay(&self, name: &str) -> Result<Option<u64>, Deny> {
        self.parsed(
            name,
            "give a whole number of seconds, minutes or hours, such as 0s or 15s",
            |text| match text {
                "0s" | "0m" | "0h" => Some(0),
                text => seconds(text),
            },
        )
    }

    pub(super) fn bind_env(&self) -> Result<Option<(String, String)>, Deny> {
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

/// The spelling of a value, as in the table.
pub(crate) fn spelling(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|v| v.get_name().to_owned())
        .unwrap_or_default()
}

/// A value as a message repeats it: without what may be a key, and not at any length.
pub(super) fn quoted(text: &str) -> String {
    let clean = scrub(text);
    match clean.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{:?}", format!("{}…", &clean[..end])),
        None => format!("{clean:?}"),
    }
}

/// Refuses more entries than a sidecar has listeners for.
pub(super) fn refuse_many(name: &str, entries: &[String]) -> Result<(), Deny> {
    if entries.len() <= MOST_LISTENERS {
        return Ok(());
    }
    Err(wrong(
        name,
        &format!(
            "has {} entries, and a sidecar listens at {MOST_LISTENERS} places at most; leave out what nobody connects to",
            entries.len()
        ),
    ))
}

/// Refuses the value of an annotation.
pub(super) fn wrong(name: &str, what: &str) -> Deny {
    Reason::AnnotationValue.deny(format!("annotation {PREFIX}{name} {what}"))
}
