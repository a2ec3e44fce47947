//! The file of ticket keys: one key a line, `active` seals, all open. A rotation is three steps, so that
//! every replica knows a key before any of them seals with it: add, promote, retire.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strum::{EnumString, IntoStaticStr};
use zeroize::Zeroizing;

use super::error::TicketKeyError;
use super::key_set::{KEY_LENGTH, KeySet, Secret};
use super::permissions;
use crate::tls::credentials::{self, CredentialError, read_public};

/// More keys than any rotation needs.
const MOST: usize = 16;

const HEADER: &str = "# hybridge ticket keys: a secret. `hybridge ticket-keys rotate` makes the next step of a rotation.\n";

/// What a key of the file is for.
#[derive(Clone, Copy, Debug, EnumString, Eq, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "kebab-case")]
enum Role {
    /// Seals and opens.
    Active,
    /// Opens: other replicas may seal with it already.
    Next,
    /// Opens: there may be tickets of it.
    Previous,
}

/// The keys of a file.
#[derive(Debug)]
pub struct KeyFile {
    keys: Vec<(Role, Secret)>,
    /// Comments of the operator, whole lines. Somebody may have commented a key out.
    comments: Zeroizing<String>,
}

/// A step of a rotation, with the short name of the key it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// A new key opens.
    Added(String),
    /// It seals.
    Promoted(String),
    /// The keys before it are gone.
    Retired(Vec<String>),
}

impl KeyFile {
    /// A file with one new key.
    pub fn generate() -> Result<Self, TicketKeyError> {
        let secret = Secret::random().ok_or(TicketKeyError::NoRandom)?;
        Ok(Self {
            keys: vec![(Role::Active, secret)],
            comments: Zeroizing::default(),
        })
    }

    /// Reads and checks a file; beside it the warning about who else may read or write it.
    pub fn load(path: &Path) -> Result<(Self, Option<String>), TicketKeyError> {
        let text = read_public(credentials::Role::TicketKeys, path);
        let text = text.map_err(|cause| TicketKeyError::File(Box::new(cause)))?;
        let keys = Self::parse(path, &text)?;
        Ok((keys, permissions::check(path)?))
    }

    /// Whether what is at `path` was meant as one, however damaged, or is nothing: its first line that is no comment
    /// names what a key is for.
    pub fn may_replace(path: &Path) -> Result<bool, TicketKeyError> {
        let text = match read_public(credentials::Role::TicketKeys, path) {
            Err(CredentialError::Missing { .. } | CredentialError::Empty { .. }) => {
                return Ok(true);
            }
            read => read.map_err(|cause| TicketKeyError::File(Box::new(cause)))?,
        };
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
        let word = |line: &[u8]| {
            let word = std::str::from_utf8(line).ok()?.split_whitespace().next()?;
            word.parse::<Role>().ok()
        };
        Ok(first.is_none_or(|line| word(line).is_some()))
    }

    /// Reads the text of a file; `path` names it in errors.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, TicketKeyError> {
        let mut keys: Vec<(Role, Secret)> = Vec::new();
        let mut comments = Zeroizing::new(String::with_capacity(text.len() + 1));
        let refused = |problem| TicketKeyError::Keys {
            path: path.into(),
            problem,
        };
        // The byte order mark that some editors write.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                if let Ok(comment) = std::str::from_utf8(line)
                    && !line.is_empty()
                    && comment != HEADER.trim_end()
                {
                    comments.push_str(comment);
                    comments.push('\n');
                }
                continue;
            }
            let read = key(line).and_then(|key| fits(&keys, key));
            keys.push(read.map_err(|problem| TicketKeyError::Line {
                path: path.into(),
                line: index + 1,
                problem: problem.to_owned(),
            })?);
            if keys.len() > MOST {
                return Err(refused("holds more than 16 keys: remove old ones"));
            }
        }
        if !keys.iter().any(|(role, _)| *role == Role::Active) {
            return Err(refused(
                "holds no active key: `hybridge ticket-keys new FILE` makes a file",
            ));
        }
        Ok(Self { keys, comments })
    }

    /// The text of the file.
    pub fn text(&self) -> Zeroizing<String> {
        let line = "previous ".len() + KEY_LENGTH.div_ceil(3) * 4 + 1;
        let length = HEADER.len() + self.comments.len() + self.keys.len() * line;
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(HEADER);
        text.push_str(&self.comments);
        for (role, secret) in &self.keys {
            let role: &str = role.into();
            let encoded = Zeroizing::new(STANDARD.encode(secret.bytes()));
            let _ = writeln!(text, "{role} {}", encoded.as_str());
        }
        text
    }

    /// Makes the next step: retires if something is to be retired, else promotes, else adds.
    pub fn rotate(&mut self) -> Result<Step, TicketKeyError> {
        let former = self.ids(Role::Previous);
        if !former.is_empty() {
            self.keys.retain(|(role, _)| *role != Role::Previous);
            return Ok(Step::Retired(former));
        }
        if let Some(next) = self.keys.iter().position(|(role, _)| *role == Role::Next) {
            for (role, _) in &mut self.keys {
                if *role == Role::Active {
                    *role = Role::Previous;
                }
            }
            let (_, secret) = self.keys.remove(next);
            let id = secret.id();
            self.keys.insert(0, (Role::Active, secret));
            return Ok(Step::Promoted(id));
        }
        let secret = Secret::random().ok_or(TicketKeyError::NoRandom)?;
        let id = secret.id();
        self.keys.push((Role::Next, secret));
        Ok(Step::Added(id))
    }

    /// The keys as tickets need them.
    pub(super) fn set(&self) -> Option<KeySet> {
        let (active, others): (Vec<_>, Vec<_>) = self
            .keys
            .iter()
            .cloned()
            .partition(|(role, _)| *role == Role::Active);
        let others = others.into_iter().map(|(_, secret)| secret);
        Some(KeySet {
            active: active.into_iter().next()?.1,
            others: others.collect(),
        })
    }

    fn ids(&self, wanted: Role) -> Vec<String> {
        let keys = self.keys.iter().filter(|(role, _)| *role == wanted);
        keys.map(|(_, secret)| secret.id()).collect()
    }
}

/// The key of a line. Problems never repeat it.
fn key(line: &[u8]) -> Result<(Role, Secret), &'static str> {
    let (role, key) = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.split_once(char::is_whitespace))
        .and_then(|(role, key)| Some((role.parse::<Role>().ok()?, key.trim())))
        .ok_or("is not `active`, `next` or `previous`, a space and a key")?;
    let problem =
        "holds a key that is not the base64 of 32 bytes: `openssl rand -base64 32` makes one";
    let mut bytes = Zeroizing::new([0; KEY_LENGTH + 8]);
    let length = STANDARD
        .decode_slice(key, &mut bytes[..])
        .map_err(|_| problem)?;
    let bytes = bytes.get(..length).ok_or(problem)?;
    let secret = Secret::new(bytes).ok_or(problem)?;
    if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
        return Err("holds a key that everybody can guess: `openssl rand -base64 32` makes one");
    }
    Ok((role, secret))
}

fn fits(
    keys: &[(Role, Secret)],
    (role, secret): (Role, Secret),
) -> Result<(Role, Secret), &'static str> {
    if role == Role::Active && keys.iter().any(|(other, _)| *other == Role::Active) {
        return Err("is a second active key: all but one are `next` or `previous`");
    }
    if keys.iter().any(|(_, other)| *other == secret) {
        return Err("holds the key of an earlier line");
    }
    Ok((role, secret))
}

#[cfg(test)]
mod tests;
