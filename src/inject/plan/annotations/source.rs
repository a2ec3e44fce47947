//! Where a file of the sidecar comes from: a key of a ConfigMap or a Secret in the pod's namespace.

use serde_json::{Value, json};

use super::reader::{Reader, wrong};
use crate::inject::plan::deny::Deny;
use crate::inject::plan::settings::secret_name;

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

/// Reads an annotation that names a source; `usual` is the key that need not be written.
pub(super) fn read(read: &Reader<'_>, name: &str, usual: &str) -> Result<Option<Source>, Deny> {
    let what = format!(
        "write configmap/NAME or secret/NAME, and :KEY behind it unless the key is {usual}"
    );
    read.parsed(name, &what, |text| Source::parse(text, usual))
}

/// Reads an annotation that names a ConfigMap or Secret with two keys.
pub(super) fn read_pair(
    read: &Reader<'_>,
    name: &str,
    keys: [&str; 2],
) -> Result<Option<[Source; 2]>, Deny> {
    let what = format!(
        "write configmap/NAME or secret/NAME, which has {}",
        keys.join(" and ")
    );
    read.parsed(name, &what, |text| {
        let [one, other] = keys.map(|key| Source::parse(text, key).filter(|_| !text.contains(':')));
        Some([one?, other?])
    })
}

/// The same for what must be secret.
pub(super) fn read_secret(
    read: &Reader<'_>,
    name: &str,
    usual: &str,
) -> Result<Option<Source>, Deny> {
    let what = format!("write secret/NAME, and :KEY behind it unless the key is {usual}");
    let source = read.parsed(name, &what, |text| Source::parse(text, usual))?;
    match source {
        Some(Source {
            kind: Kind::ConfigMap,
            ..
        }) => Err(wrong(
            name,
            &format!("names a ConfigMap, which more people may read than should: {what}"),
        )),
        source => Ok(source),
    }
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
