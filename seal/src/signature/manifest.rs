//! The signed statement: in-toto 1 with the predicate of model signing 1.0, which lists every piece of a
//! model with its SHA-256.

mod statement;

use std::collections::{BTreeMap, BTreeSet};

use self::statement::{Predicate, Resource, Serialization, Statement, Subject};
use super::{Error, said};
use crate::digest::{Method, Piece, Sha256, from_hex, hex, sha256};
use crate::shown::Shown;
use crate::tree::{is_safe, parts};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
const ALGORITHM: &str = "sha256";
/// The name of a model that is one file.
pub const SINGLE: &str = ".";
/// Pieces that a message names, at most.
const NAMED: usize = 10;

/// What a model consists of.
#[derive(Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Of the model: its directory's or file's.
    pub name: String,
    /// How it is cut.
    pub method: Method,
    /// Names that are not covered.
    pub ignore: Vec<String>,
    /// Every file with its pieces.
    pub files: BTreeMap<String, Vec<Piece>>,
}

impl Manifest {
    /// As the bytes that are signed.
    pub fn write(&self) -> Result<Vec<u8>, Error> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by(|(one, _), (other, _)| parts(one).cmp(parts(other)));
        let (mut all, mut resources) = (Vec::new(), Vec::new());
        for (name, pieces) in files {
            for piece in pieces {
                all.extend_from_slice(&piece.digest);
                resources.push(Resource {
                    name: label(name, piece),
                    algorithm: algorithm(self.method),
                    digest: hex(&piece.digest),
                });
            }
        }
        let (method, shard_size) = match self.method {
            Method::Files => ("files", None),
            Method::Shards(size) => ("shards", Some(size.into())),
        };
        let statement = Statement {
            kind: STATEMENT.to_owned(),
            subject: vec![Subject {
                name: self.name.clone(),
                digest: BTreeMap::from([(ALGORITHM.to_owned(), hex(&sha256(&all)))]),
            }],
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                serialization: Serialization {
                    method: method.to_owned(),
                    hash_type: ALGORITHM.to_owned(),
                    allow_symlinks: false,
                    shard_size,
                    ignore_paths: self.ignore.clone(),
                },
                resources,
            },
        };
        serde_json::to_vec(&statement).map_err(|error| Error::Statement(error.to_string()))
    }

    /// Whether it is of the model that is wanted: a signer has signed others too.
    pub fn require_name(&self, wanted: Option<&str>) -> Result<(), Error> {
        match wanted {
            Some(wanted) if wanted != self.name => Err(Error::Name {
                signed: Shown::text(&self.name),
                wanted: Shown::text(wanted),
            }),
            _ => Ok(()),
        }
    }

    /// Of bytes whose signatures were verified.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Statement(why.to_owned());
        let statement: Statement =
            serde_json::from_slice(payload).map_err(|error| Error::Statement(said(&error)))?;
        if statement.kind != STATEMENT || statement.predicate_type != PREDICATE {
            return Err(wrong("another type of statement or predicate"));
        }
        let [subject] = statement.subject.as_slice() else {
            return Err(wrong("it has not one subject"));
        };
        let Predicate {
            serialization,
            resources,
        } = statement.predicate;
        let (method, mut files) = (method(&serialization)?, BTreeMap::<_, Vec<_>>::new());
        let mut all = Vec::new();
        for resource in &resources {
            let shown = Shown::text(&resource.name);
            if resource.algorithm != algorithm(method) {
                return Err(Error::Statement(format!(
                    "{shown} is not hashed by SHA-256"
                )));
            }
            let digest = from_hex(&resource.digest);
            let digest = digest
                .ok_or_else(|| Error::Statement(format!("the digest of {shown} is damaged")))?;
            all.extend_from_slice(&digest);
            let (name, piece) = piece(method, &resource.name, digest)?;
            if name != SINGLE && !is_safe(name) {
                return Err(Error::Statement(format!("{shown} leads out of the model")));
            }
            files.entry(name.to_owned()).or_default().push(piece);
        }
        if subject.digest.get(ALGORITHM) != Some(&hex(&sha256(&all))) {
            return Err(wrong("the digest of the subject is not that of the list"));
        }
        for (name, pieces) in &mut files {
            if !is_whole(pieces) {
                let name = Shown::text(name);
                return Err(Error::Statement(format!(
                    "{name} is listed twice or has a gap"
                )));
            }
        }
        Ok(Self {
            name: subject.name.clone(),
            method,
            ignore: serialization.ignore_paths,
            files,
        })
    }

    /// Says which names are not as signed: extra, missing. Before anything is hashed.
    pub fn compare_names<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let mut missing: BTreeSet<_> = self.files.keys().map(String::as_str).collect();
        let extra: Vec<_> = names.filter(|name| !missing.remove(name)).collect();
        let missing = missing.into_iter().collect();
        let says = [("not signed", extra), ("signed, but missing", missing)];
        let told: Vec<_> = says
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(list)
            .collect();
        if told.is_empty() {
            Ok(())
        } else {
            Err(Error::Files(told))
        }
    }

    /// Whether a file is as signed.
    pub fn compare(&self, name: &str, pieces: &[Piece]) -> bool {
        self.files
            .get(name)
            .is_some_and(|expected| expected == pieces)
    }
}

/// `changed: a, b and 3 more`.
pub fn list((what, names): &(&str, Vec<&str>)) -> String {
    let named = Shown::list(names.iter().take(NAMED));
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what}: {named}{more}")
}

fn method(serialization: &Serialization) -> Result<Method, Error> {
    let shown = |text: &str| Shown::text(text).to_string();
    if serialization.hash_type != ALGORITHM {
        let kind = shown(&serialization.hash_type);
        return Err(Error::Statement(format!(
            "hashed by {kind}, and SHA-256 is supported"
        )));
    }
    if serialization.allow_symlinks {
        return Err(Error::Statement(
            "it allows symbolic links: sign without them".to_owned(),
        ));
    }
    let size = serialization.shard_size.as_ref();
    let size = size.and_then(|n| {
        n.as_u64()
            .or_else(|| n.as_f64().filter(|n| *n >= 1.0).map(|n| n as u64))
    });
    match (serialization.method.as_str(), size) {
        ("files", _) => Ok(Method::Files),
        ("shards", Some(size)) if size > 0 => Ok(Method::Shards(size)),
        (other, _) => Err(Error::Statement(format!(
            "method {} is unknown",
            shown(other)
        ))),
    }
}

/// How the format calls the digest of a piece: a shard's names its size.
fn algorithm(method: Method) -> String {
    match method {
        Method::Files => ALGORITHM.to_owned(),
        Method::Shards(size) => format!("{ALGORITHM}-sharded-{size}"),
    }
}

fn label(name: &str, piece: &Piece) -> String {
    match piece.range {
        None => name.to_owned(),
        Some((from, to)) => format!("{name}:{from}:{to}"),
    }
}

fn piece(method: Method, label: &str, digest: Sha256) -> Result<(&str, Piece), Error> {
    if method == Method::Files {
        return Ok((
            label,
            Piece {
                range: None,
                digest,
            },
        ));
    }
    let split = || {
        let mut parts = label.rsplitn(3, ':');
        let to = parts.next()?.parse().ok()?;
        let from = parts.next()?.parse().ok()?;
        let range = Some((from, to));
        Some((parts.next()?, Piece { range, digest }))
    };
    let shown = Shown::text(label);
    split().ok_or_else(|| Error::Statement(format!("{shown} names no shard")))
}

/// One piece without a range, or ranges from 0 that follow one another.
fn is_whole(pieces: &mut [Piece]) -> bool {
    if let [Piece { range: None, .. }] = pieces {
        return true;
    }
    pieces.sort_by_key(|piece| piece.range);
    let mut at = 0;
    pieces.iter().all(|piece| {
        let Some((from, to)) = piece.range else {
            return false;
        };
        let follows = from == at && to > from;
        at = to;
        follows
    })
}

#[cfg(test)]
mod tests;
