//! What the signer said of a sealed model.

use std::io::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::{Bounded, say};
use super::Job;
use super::found::{Sealed, UNSIGNED};
use crate::error::{Error, failed};
use crate::sealed::Output;
use crate::shown::Shown;
use crate::signature::both;
use crate::signature::manifest::Manifest;
use crate::signature::model::refused;

impl Job<'_> {
    /// What both bundles sign. They are opened and verified before anything is written.
    pub(super) fn manifest(&self, bundles: &[PathBuf; 2]) -> Result<Option<Manifest>, Error> {
        let Some(verifiers) = &self.verifiers else {
            say(UNSIGNED);
            return Ok(None);
        };
        let paths = bundles.iter().map(PathBuf::as_path);
        let manifest = both::verified(paths.zip(verifiers), |path| self.small(path))?;
        let wanted = self.args.name.as_deref();
        let from = &self.args.from;
        manifest.require_name(wanted).map_err(refused(from))?;
        Ok(Some(manifest))
    }

    /// The end: what was opened, and as whose.
    pub(super) fn tell(&self, count: usize, manifest: Option<&Manifest>) {
        let files = if count == 1 { "file" } else { "files" };
        let Some(manifest) = manifest else {
            say(&format!("opened {count} {files}"));
            return;
        };
        let name = Shown::text(&manifest.name);
        let demand = if self.args.name.is_none() {
            format!(": `--name {name}` demands that name")
        } else {
            String::new()
        };
        say(&format!(
            "opened {count} {files}; both signatures hold; signed as `{name}`{demand}"
        ));
    }

    /// A sealed bundle.
    fn small(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        if std::fs::symlink_metadata(path).is_err() {
            let path = Shown::from(path);
            return Err(Error::Refused(format!(
                "{path}: missing: a model is signed twice, ECDSA and ML-DSA, and both signatures have to be there (`hybridge seal --sign-with`)"
            )));
        }
        let mut text = Bounded(Zeroizing::new(Vec::new()));
        let file = Sealed::find(path, &self.identities)?;
        let stream: &mut dyn Write = &mut text;
        file.run(Output::Stream(stream), 1, &mut |_| {})
            .map_err(|error| match error {
                Error::Output(cause) => failed("read", path)(cause),
                other => other,
            })?;
        Ok(text.0)
    }
}
