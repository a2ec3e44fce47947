//! One sealed file, whose header was unwrapped.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::say;
use crate::age::Resistance;
use crate::age::keys::Identity;
use crate::error::Error;
use crate::regular::regular;
use crate::sealed::{Opened, Output, Watch, head};
use crate::shown::Shown;
use crate::signature::manifest::list;

/// What is said where nobody signed.
pub(super) const UNSIGNED: &str = "--unsafe-unsigned: no signature is verified, and anyone who knows the recipient can have made this";

/// A sealed file that the identity opens.
pub(super) struct Sealed {
    path: PathBuf,
    file: File,
    length: u64,
    opened: Opened,
    /// Bytes of its plaintext.
    pub(super) plain: u64,
}

impl Sealed {
    pub(super) fn find(path: &Path, identities: &[Identity]) -> Result<Self, Error> {
        let (file, length) = regular(path)?;
        let opened = Opened::read(&mut head(&file), path, identities)?;
        let plain = opened.plain_length(length).unwrap_or(0);
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            opened,
            plain,
        })
    }

    /// Whether a quantum computer has a way in.
    pub(super) fn resistance(&self) -> Resistance {
        self.opened.resistance
    }

    pub(super) fn run(
        &self,
        output: Output<'_>,
        threads: usize,
        watch: &mut Watch<'_>,
    ) -> Result<(), Error> {
        let source = self.opened.source(&self.file, self.length);
        self.opened
            .open(&source, &self.path, output, threads, watch)
    }
}

/// Says once of all that was given that a quantum computer has a way in, or that nobody knows. `which`: the files of
/// a directory of which it is so.
pub(super) fn warn(name: &Path, which: Option<Vec<&str>>, resistance: Resistance) {
    let through = match resistance {
        Resistance::PostQuantum => return,
        Resistance::Classical => {
            "a classical recipient too, through whom a quantum computer opens it: reseal it"
        }
        Resistance::NotKnown => {
            "a recipient too of whose kind it is not known whether a quantum computer opens it (`hybridge inspect` names the kind)"
        }
    };
    let name = Shown::from(name);
    let which = which.map_or(String::new(), |names| {
        format!("{}: ", list(&("files", names)))
    });
    say(&format!("{name}: {which}sealed for {through}"));
}
