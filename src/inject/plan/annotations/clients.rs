//! Who may in: `client-auth`, `client-ca`, `client-crl` and the allow rules of one pod. The rules are read
//! as the sidecar reads them, so that a mistake shows when the pod is created.

use std::str::FromStr;

use serde_json::{Value, json};

use super::reader::{Reader, wrong};
use crate::inject::plan::deny::Deny;
use crate::inject::plan::settings::secret_name;
use crate::tls::identity::{RuleError, Rules};
use crate::tls::trust::ClientAuth;

/// Each list of rules: the annotation, and what adds one rule.
const RULES: [(&str, AddRule); 4] = [
    ("allow-uri", Rules::add_uri),
    ("allow-dns", Rules::add_dns),
    ("allow-ip", Rules::add_ip),
    ("allow-cn", Rules::add_common_name),
];

type AddRule = fn(&mut Rules, &str) -> Result<(), RuleError>;

/// How clients are judged in one pod.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// `required` or `optional`.
    pub(crate) mode: &'static str,
    pub(crate) ca: Source,
    pub(crate) crl: Option<Source>,
    /// The rules by annotation, which is the sidecar's flag too.
    pub(crate) rules: Vec<(&'static str, String)>,
}

/// A key of a ConfigMap or a Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Source {
    kind: Kind,
    name: String,
    key: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    ConfigMap,
    Secret,
}

impl Source {
    /// `configmap/NAME` or `secret/NAME`, then `:KEY` unless it is `usual`.
    fn parse(text: &str, usual: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let kind = match kind {
            "configmap" => Kind::ConfigMap,
            "secret" => Kind::Secret,
            _ => return None,
        };
        let (name, key) = rest.split_once(':').unwrap_or((rest, usual));
        let is_key = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let valid = !key.is_empty()
            && key.len() <= 253
            && key.chars().all(is_key)
            && key != "."
            && !key.starts_with("..");
        (valid && secret_name(name).is_ok()).then(|| Self {
            kind,
            name: name.to_owned(),
            key: key.to_owned(),
        })
    }

    /// A source of a projected volume that puts it at `path`.
    pub(crate) fn projection(&self, path: &str) -> Value {
        let kind = match self.kind {
            Kind::ConfigMap => "configMap",
            Kind::Secret => "secret",
        };
        json!({kind: {"name": self.name, "items": [{"key": self.key, "path": path}]}})
    }

    /// How messages call it.
    pub(crate) fn title(&self) -> String {
        let kind = match self.kind {
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
        };
        format!("{} of {kind} {}", self.key, self.name)
    }
}

/// How clients are judged; `None` if they are not asked.
pub(super) fn parse(read: &Reader<'_>) -> Result<Option<Clients>, Deny> {
    let mode = read.parsed(
        "client-auth",
        "use one of off, optional, required",
        |text| ClientAuth::from_str(text).ok(),
    )?;
    let ca = source(read, "client-ca", "ca.crt")?;
    let crl = source(read, "client-crl", "ca.crl")?;
    let any = read.flag("allow-any")?;
    let rules = rules(read)?;
    let mode = match mode {
        // Written out, so nobody is deceived: the rest may be the namespace's.
        Some(ClientAuth::Off) => return Ok(None),
        Some(mode) => mode.into(),
        None => {
            let asking = [
                (ca.is_some(), "client-ca"),
                (crl.is_some(), "client-crl"),
                (any, "allow-any"),
            ]
            .into_iter()
            .find_map(|(given, name)| given.then_some(name))
            .or(rules.first().map(|(name, _)| *name));
            return match asking {
                None => Ok(None),
                Some(name) => Err(wrong(
                    name,
                    "has no effect alone: no client is asked for a certificate; add annotation hybridge.dev/client-auth: required, or remove it",
                )),
            };
        }
    };
    let ca = ca.ok_or_else(|| {
        wrong(
            "client-auth",
            "needs annotation hybridge.dev/client-ca: the CAs that certify clients, such as configmap/client-ca",
        )
    })?;
    let rules = match (any, rules.is_empty()) {
        (true, true) => vec![("allow-any", "true".to_owned())],
        (false, false) => rules,
        (false, true) => {
            return Err(wrong(
                "client-auth",
                "needs a rule that says who may in, such as hybridge.dev/allow-uri: spiffe://example.org/ns/ai/**; hybridge.dev/allow-any: \"true\" lets in all that client-ca certifies",
            ));
        }
        (true, false) => {
            return Err(wrong(
                "allow-any",
                "contradicts the other allow rules: it lets in every client that client-ca certifies; keep one of the two",
            ));
        }
    };
    Ok(Some(Clients {
        mode,
        ca,
        crl,
        rules,
    }))
}

fn source(read: &Reader<'_>, name: &str, usual: &str) -> Result<Option<Source>, Deny> {
    let what = format!(
        "write configmap/NAME or secret/NAME, and :KEY behind it unless the key is {usual}"
    );
    read.parsed(name, &what, |text| Source::parse(text, usual))
}

fn rules(read: &Reader<'_>) -> Result<Vec<(&'static str, String)>, Deny> {
    let mut found = Vec::new();
    for (name, add) in RULES {
        let Some(given) = read.list(name)? else {
            continue;
        };
        for rule in &given {
            add(&mut Rules::default(), rule)
                .map_err(|problem| wrong(name, &format!("has {rule:?}, which {problem}")))?;
        }
        found.push((name, given.join(",")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_kind_a_name_and_a_key() {
        let of =
            |text| Source::parse(text, "ca.crt").map(|source| source.projection("x").to_string());
        for (text, expected) in [
            (
                "configmap/clients",
                r#"{"configMap":{"name":"clients","items":[{"key":"ca.crt","path":"x"}]}}"#,
            ),
            (
                "secret/a.b:own_1.pem",
                r#"{"secret":{"name":"a.b","items":[{"key":"own_1.pem","path":"x"}]}}"#,
            ),
        ] {
            assert_eq!(of(text).as_deref(), Some(expected));
        }
        for wrong in [
            "",
            "clients",
            "configmap/",
            "configmap/A",
            "Secret/a",
            "secret/a:",
            "secret/a:b/c",
            "secret/a:..",
            "secret/a:..data",
            "secret/a/b",
            "configMap/a",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
