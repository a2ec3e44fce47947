//! The form of a value: a word, a number, a list, a time.

use clap::ValueEnum;

use super::reader::{Reader, quoted, wrong};
use crate::inject::plan::deny::Deny;
use crate::inject::plan::names::PREFIX;
use crate::inject::plan::quantity::Quantity;
use crate::inject::plan::settings;
use crate::time::parse_duration;
use crate::tls::policy::Mode as KeyExchange;

impl Reader<'_> {
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

    pub(super) fn policy(&self, name: &str) -> Result<Option<KeyExchange>, Deny> {
        let what = "use one of hybrid-preferred, hybrid-required, pq-required, classical-only";
        self.parsed(name, what, |text| KeyExchange::parse(text).ok())
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
