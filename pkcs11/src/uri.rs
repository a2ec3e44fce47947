//! The name of a key in a token (RFC 7512). Nothing of it is secret: a URI with a PIN in it is refused.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::SCHEME;

/// Where a key lies, and with which module it is reached.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Uri {
    /// As it was written.
    text: String,
    pub(crate) token: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) slot: Option<u64>,
    pub(crate) object: Option<String>,
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) module: PathBuf,
    pub(crate) pin: Option<PathBuf>,
}

/// Why a text is no URI of a key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum UriError {
    #[error(
        "a key in a token is written pkcs11:token=NAME;object=KEY?module-path=/FILE.so&pin-source=file:/FILE"
    )]
    Scheme,
    #[error("`%` stands before two hexadecimal digits, and text is UTF-8")]
    Escape,
    #[error("`{0}` is written without a value: write {0}=VALUE")]
    NoValue(&'static str),
    #[error("`{0}` is written twice: keep one")]
    Twice(&'static str),
    #[error(
        "it has an attribute that this does not know; known are token, manufacturer, serial, model, slot-id, object, id, type, and after `?` module-path and pin-source"
    )]
    Unknown,
    #[error(
        "pin-value would be a secret in a file that others read: write the PIN to a file (mode 0400) and pin-source=file:/PATH"
    )]
    PinValue,
    #[error("pin-source is file:/PATH, an absolute path; programs are not run")]
    PinSource,
    #[error("the module is named by module-path=/FILE.so after `?`, an absolute path")]
    ModulePath,
    #[error("type is `private`: certificates come from `cert`")]
    Type,
    #[error("slot-id is a number")]
    Slot,
    #[error("it names no key: write object=LABEL, or id=%01 (CKA_ID), or both")]
    NoKey,
    #[error("it names no token: write token=LABEL, serial=NUMBER or slot-id=NUMBER")]
    NoToken,
}

impl Uri {
    /// What stands in messages: the attributes that name token and key.
    pub fn name(&self) -> String {
        let path = self.text.split('?').next().unwrap_or_default();
        path.to_owned()
    }

    /// The file of the PIN.
    pub fn pin_file(&self) -> Option<&std::path::Path> {
        self.pin.as_deref()
    }

    /// The shared object.
    pub fn module(&self) -> &std::path::Path {
        &self.module
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        // A scheme has no case (RFC 3986 §3.1).
        let (scheme, rest) = text
            .split_at_checked(SCHEME.len())
            .ok_or(UriError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(UriError::Scheme);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        // Looked for first: no other mistake may bring it into a message.
        if rest.split(['&', ';', '?']).any(is_pin_value) {
            return Err(UriError::PinValue);
        }
        for part in path.split(';').filter(|part| !part.is_empty()) {
            uri.path_attribute(part)?;
        }
        let mut module = None;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=').unwrap_or((part, "")) {
                ("module-path", value) => once(&mut module, "module-path", text_of(value)?)?,
                ("pin-source", value) => {
                    let file = pin_file(&text_of(value)?)?;
                    once(&mut uri.pin, "pin-source", file)?;
                }
                _ => return Err(UriError::Unknown),
            }
        }
        uri.module = module.map(PathBuf::from).unwrap_or_default();
        if !uri.module.is_absolute() {
            return Err(UriError::ModulePath);
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(UriError::NoKey);
        }
        if uri.token.is_none() && uri.serial.is_none() && uri.slot.is_none() {
            return Err(UriError::NoToken);
        }
        Ok(uri)
    }
}

impl Uri {
    fn path_attribute(&mut self, part: &str) -> Result<(), UriError> {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "token" => once(&mut self.token, "token", filled("token", value)?),
            "manufacturer" => once(
                &mut self.manufacturer,
                "manufacturer",
                filled("manufacturer", value)?,
            ),
            "serial" => once(&mut self.serial, "serial", filled("serial", value)?),
            "model" => once(&mut self.model, "model", filled("model", value)?),
            "object" => once(&mut self.object, "object", filled("object", value)?),
            "id" if value.is_empty() => Err(UriError::NoValue("id")),
            "id" => once(&mut self.id, "id", bytes_of(value)?),
            "slot-id" => {
                let number = value.parse().map_err(|_| UriError::Slot)?;
                once(&mut self.slot, "slot-id", number)
            }
            "type" if value == "private" => Ok(()),
            "type" => Err(UriError::Type),
            _ => Err(UriError::Unknown),
        }
    }
}

/// Whether an attribute is called `pin-value`, in any case and percent-encoded too.
fn is_pin_value(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    let name = text_of(name).unwrap_or_default();
    name.to_ascii_lowercase().starts_with("pin-value")
}

fn once<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), UriError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(UriError::Twice(name)),
    }
}

fn filled(name: &'static str, value: &str) -> Result<String, UriError> {
    if value.is_empty() {
        return Err(UriError::NoValue(name));
    }
    text_of(value)
}

fn text_of(value: &str) -> Result<String, UriError> {
    String::from_utf8(bytes_of(value)?).map_err(|_| UriError::Escape)
}

fn bytes_of(value: &str) -> Result<Vec<u8>, UriError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (digit(), digit());
        let (Some(high), Some(low)) = (high, low) else {
            return Err(UriError::Escape);
        };
        bytes.push(high << 4 | low);
    }
    Ok(bytes)
}

/// `file:/PATH`, `file:///PATH` or only the path.
fn pin_file(source: &str) -> Result<PathBuf, UriError> {
    let path = source.strip_prefix("file:").unwrap_or(source);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.starts_with('/') {
        Ok(path.into())
    } else {
        Err(UriError::PinSource)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(text: &str) -> UriError {
        text.parse::<Uri>().unwrap_err()
    }

    #[test]
    fn a_whole_uri_is_read() {
        let uri: Uri = "pkcs11:token=my%20token;object=key;id=%01%fF;type=private?module-path=/usr/lib/m.so&pin-source=file:/run/pin"
            .parse()
            .unwrap();
        assert_eq!(uri.token.as_deref(), Some("my token"));
        assert_eq!(uri.object.as_deref(), Some("key"));
        assert_eq!(uri.id.as_deref(), Some(&[1, 255][..]));
        assert_eq!(uri.module.to_str(), Some("/usr/lib/m.so"));
        assert_eq!(uri.pin.as_deref().unwrap().to_str(), Some("/run/pin"));
        assert_eq!(
            uri.name(),
            "pkcs11:token=my%20token;object=key;id=%01%fF;type=private"
        );
    }

    #[test]
    fn a_pin_in_the_uri_is_refused_before_anything_else() {
        for text in [
            "pkcs11:token=t;object=k?pin-value=1234&module-path=/m.so",
            "pkcs11:nonsense=%?pin-value=1234",
            "PKCS11:token=t;object=k?pin-value=1234&module-path=/m.so",
            "pkcs11:token=t;object=k?PIN-VALUE=1234&module-path=/m.so",
            "pkcs11:token=t;object=k?pin%2Dvalue=1234&module-path=/m.so",
            "pkcs11:token=t;object=k;pin-value=1234?module-path=/m.so",
        ] {
            let error = refused(text);
            assert_eq!(error, UriError::PinValue);
            assert!(!error.to_string().contains("1234"));
        }
    }

    #[test]
    fn each_mistake_has_its_message() {
        let with = |path: &str| format!("pkcs11:{path}?module-path=/m.so");
        for (text, wanted) in [
            ("file:/x".to_owned(), UriError::Scheme),
            (with("token=t;object=k%4"), UriError::Escape),
            (with("token=t;object=%ff"), UriError::Escape),
            (with("token=t;object"), UriError::NoValue("object")),
            (with("token=t;token=u;object=k"), UriError::Twice("token")),
            (with("token=t;object=k;colour=red"), UriError::Unknown),
            (with("token=t;object=k;type=cert"), UriError::Type),
            (with("slot-id=x;object=k"), UriError::Slot),
            (with("token=t"), UriError::NoKey),
            (with("object=k"), UriError::NoToken),
            ("pkcs11:token=t;object=k".to_owned(), UriError::ModulePath),
            (
                "pkcs11:token=t;object=k?module-path=m.so".to_owned(),
                UriError::ModulePath,
            ),
            (
                format!("{}&pin-source=|/bin/pin", with("token=t;object=k")),
                UriError::PinSource,
            ),
            (
                format!("{}&pin-source=pin", with("token=t;object=k")),
                UriError::PinSource,
            ),
            (
                format!("{}&module-name=m", with("token=t;object=k")),
                UriError::Unknown,
            ),
        ] {
            assert_eq!(refused(&text), wanted, "{text}");
        }
    }
}
