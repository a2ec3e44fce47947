//! A directory of sealed files.

use super::super::AGE;
use super::found::{Sealed, warn};
use super::{Job, changed};
use crate::age::Resistance;
use crate::error::{Error, failed};
use crate::progress::Progress;
use crate::sealed::Output;
use crate::shown::Shown;
use crate::signature::model::refused;
use crate::signature::{CLASSICAL, POST_QUANTUM};
use crate::staging::{StagedDirectory, require_apart};
use crate::tree::{self, Entry};

impl Job<'_> {
    pub(super) fn directory(&self) -> Result<(), Error> {
        let from = &self.args.from;
        require_apart(from, &self.args.to)?;
        let (files, _) = tree::files(from, &[])?;
        if files.is_empty() {
            let from = Shown::from(from.as_path());
            return Err(Error::Refused(format!("{from}: no file in it")));
        }
        let files = named(files)?;
        let bundles = [CLASSICAL, POST_QUANTUM];
        let manifest = self.manifest(&bundles.map(|name| from.join(format!("{name}{AGE}"))))?;
        if let Some(manifest) = &manifest {
            let names = files.iter().map(|(name, _)| name.as_str());
            let covered = names.filter(|name| !bundles.contains(name));
            manifest.compare_names(covered).map_err(refused(from))?;
        }
        let (mut total, mut found) = (0, Vec::new());
        for (name, entry) in &files {
            let file = Sealed::find(&entry.path, &self.identities)?;
            total += file.plain;
            found.push((name.as_str(), file.resistance()));
        }
        for weak in [Resistance::Classical, Resistance::NotKnown] {
            let which = found.iter().filter(|(_, resistance)| *resistance == weak);
            let which: Vec<_> = which.map(|(name, _)| *name).collect();
            if !which.is_empty() {
                warn(from, Some(which), weak);
            }
        }
        self.examine(total)?;
        let staged = StagedDirectory::create(&self.args.to, self.args.replace)?;
        let progress = Progress::new("opening", Some(total));
        let mut wrong = Vec::new();
        for (name, entry) in &files {
            // Again, because so many open files at once are not allowed.
            let file = Sealed::find(&entry.path, &self.identities)?;
            let (created, target) = staged.file(name)?;
            let output = Output::File(&created, &target);
            let signed = manifest
                .as_ref()
                .filter(|_| !bundles.contains(&name.as_str()));
            if !self.is_as_signed(name, &file, output, &progress, signed)? {
                wrong.push(name.as_str());
            }
            created.sync_all().map_err(failed("save", &target))?;
        }
        if !wrong.is_empty() {
            return Err(changed(from, wrong));
        }
        staged.place()?;
        let covered = manifest.as_ref().map_or(files.len(), |m| m.files.len());
        self.tell(covered, manifest.as_ref());
        Ok(())
    }
}

/// The names that the files get.
fn named(files: Vec<Entry>) -> Result<Vec<(String, Entry)>, Error> {
    let mut all = Vec::new();
    for entry in files {
        let Some(name) = entry
            .name
            .strip_suffix(AGE)
            .filter(|name| !name.is_empty() && !name.ends_with('/'))
        else {
            let path = Shown::from(entry.path.as_path());
            return Err(Error::Refused(format!(
                "{path}: not a sealed file: its name does not end with {AGE}; remove it or seal it"
            )));
        };
        all.push((name.to_owned(), entry));
    }
    Ok(all)
}
