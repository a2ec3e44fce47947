//! What a request says, as far as signatures can cover it, and the value of each component
//! (RFC 9421 §2.1 and §2.2).

use std::borrow::Cow;

use super::verdict::Refusal;

/// A request's head, as it came.
pub(crate) struct Message<'a> {
    pub(crate) method: &'a str,
    pub(crate) authority: Option<&'a [u8]>,
    /// Origin-form, or `*`.
    pub(crate) target: &'a str,
    /// Whether content may follow the head.
    pub(crate) has_body: bool,
    pub(crate) fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Message<'a> {
    /// The lines of a field, trimmed, as one value; `None` without a line. One that is there and no text is not absent.
    pub(crate) fn field(&self, name: &str) -> Result<Option<String>, Refusal> {
        let separator = if name == "cookie" { "; " } else { ", " };
        let mut joined: Option<String> = None;
        for (_, value) in self.lines(name) {
            let value = std::str::from_utf8(value.trim_ascii()).map_err(|_| Refusal::Malformed)?;
            match &mut joined {
                None => joined = Some(value.to_owned()),
                Some(text) => {
                    text.push_str(separator);
                    text.push_str(value);
                }
            }
        }
        Ok(joined)
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &(&'a str, &'a [u8])> {
        self.fields
            .iter()
            .filter(move |(is, _)| is.eq_ignore_ascii_case(name))
    }

    /// The value of a component without parameters.
    pub(crate) fn component(&self, name: &str) -> Result<Cow<'a, str>, Refusal> {
        if name.starts_with('@') {
            return self.derived(name).ok_or(Refusal::NotCovered);
        }
        let field = self.field(name)?;
        field.map(Cow::from).ok_or(Refusal::NotCovered)
    }

    /// One that is no field; `None` if the request has none, or it is unknown.
    fn derived(&self, name: &str) -> Option<Cow<'a, str>> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, query),
            None => (self.target, ""),
        };
        Some(match name {
            "@method" => self.method.into(),
            "@authority" => self.normal_authority()?.into(),
            "@scheme" => "https".into(),
            "@target-uri" => format!("https://{}{}", self.normal_authority()?, self.target).into(),
            "@request-target" => self.target.into(),
            "@path" => path.into(),
            "@query" => format!("?{query}").into(),
            _ => return None,
        })
    }

    /// Lower case, and without the port of https (RFC 9421 §2.2.3).
    fn normal_authority(&self) -> Option<String> {
        let text = std::str::from_utf8(self.authority?).ok()?;
        let text = text.to_ascii_lowercase();
        Some(match text.strip_suffix(":443") {
            Some(host) => host.to_owned(),
            None => text,
        })
    }
}
