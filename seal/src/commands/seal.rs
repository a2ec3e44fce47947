//! `hybridge seal`: a file, a directory or a pipe, each file for itself. Signed first, if asked.

use std::path::{Path, PathBuf};

use super::{AGE, input, is_stream, say, standard_output};
use crate::age::keys::Recipient;
use crate::age::payload::sealed_length;
use crate::args::SealArgs;
use crate::digest::{FileDigest, Method, Piece};
use crate::error::{Error, failed};
use crate::identity;
use crate::memory::{require_room, threads};
use crate::progress::Progress;
use crate::regular::regular;
use crate::sealed::{self as engine, Output, PLAIN_GROUP};
use crate::shown::Shown;
use crate::signature::keys::{Kind, Signer};
use crate::signature::manifest::{Manifest, SINGLE};
use crate::signature::model::{self, ignored, last_part, refused};
use crate::signature::{CLASSICAL, POST_QUANTUM, bundle};
use crate::source::{FileSource, Source, StreamSource};
use crate::staging::{StagedDirectory, StagedFile, directory_of, require_apart};
use crate::tree::{self, Entry, GIT, bytes_below};

/// Seals.
pub fn seal(args: &SealArgs) -> Result<(), Error> {
    let job = Job {
        recipients: identity::recipients(&args.recipients)?,
        signers: args.sign_with.as_deref().map(signers).transpose()?,
        threads: threads(args.threads),
        replace: args.replace,
    };
    let stream = is_stream(&args.from);
    if job.signers.is_some() && (stream || is_stream(&args.to)) {
        return Err(Error::Usage(
            "--sign-with: a pipe has no place for signatures: name a file or a directory"
                .to_owned(),
        ));
    }
    if !stream && args.from.is_dir() {
        if is_stream(&args.to) {
            return Err(Error::Usage(
                "a directory cannot go to standard output: name a directory".to_owned(),
            ));
        }
        return job.directory(&args.from, &args.to);
    }
    job.file(&args.from, &args.to)
}

/// `ec.key` and `mldsa.key` of a directory.
fn signers(directory: &Path) -> Result<[Signer; 2], Error> {
    Ok([
        model::signer(Kind::Ecdsa, &directory.join("ec.key"))?,
        model::signer(Kind::MlDsa, &directory.join("mldsa.key"))?,
    ])
}

struct Job {
    recipients: Vec<Recipient>,
    signers: Option<[Signer; 2]>,
    threads: usize,
    replace: bool,
}

impl Job {
    fn file(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let input = input(from)?;
        let metadata = input.metadata().map_err(failed("read", from))?;
        let length = metadata
            .is_file()
            .then_some(metadata.len())
            .filter(|_| !is_stream(from));
        let progress = Progress::new("sealing", length);
        let source: Box<dyn Source + '_> = match length {
            Some(length) => Box::new(FileSource::new(&input, 0, length, PLAIN_GROUP)),
            None => Box::new(StreamSource::new(&input, PLAIN_GROUP)),
        };
        if is_stream(to) {
            let mut out = standard_output()?;
            let output = Output::Stream(&mut out);
            return self.run(&*source, from, output, &mut |bytes| {
                progress.add(bytes.len());
            });
        }
        if length.is_some() {
            require_apart(from, to)?;
        }
        require_room(directory_of(to), self.sealed(length.unwrap_or(0)))?;
        let staged = StagedFile::create(to, self.replace)?;
        let output = Output::File(staged.file(), staged.path());
        let mut digest = FileDigest::new(Method::Files);
        self.run(&*source, from, output, &mut |bytes| {
            if self.signers.is_some() {
                digest.update(bytes);
            }
            progress.add(bytes.len());
        })?;
        let mut bundles = Vec::new();
        if self.signers.is_some() {
            let name = last_part(from);
            let files = [(SINGLE.to_owned(), digest.finish())];
            let texts = self.bundles(name, false, files.into_iter().collect(), from)?;
            for (text, target) in texts.iter().zip(beside(to)) {
                bundles.push(self.small(text, &target, self.replace)?);
            }
        }
        // The signatures first: a sealed file without them is refused, the reverse is nothing.
        for bundle in bundles {
            bundle.place(self.replace)?;
        }
        staged.place(self.replace)
    }

    fn directory(&self, from: &Path, to: &Path) -> Result<(), Error> {
        require_apart(from, to)?;
        let bundles = [CLASSICAL, POST_QUANTUM];
        let ignore: Vec<&str> = match self.signers {
            Some(_) => GIT.into_iter().chain(bundles).collect(),
            None => GIT.to_vec(),
        };
        let (files, ignored) = tree::files(from, &ignore)?;
        if files.is_empty() {
            let from = Shown::from(from);
            return Err(Error::Refused(format!("{from}: no file in it")));
        }
        if !ignored.is_empty() {
            let names = Shown::list(&ignored);
            say(&format!("left out, not part of the model: {names}"));
        }
        let total: u64 = files.iter().map(|file| self.sealed(file.size)).sum();
        let gone = if self.replace { bytes_below(to) } else { 0 };
        require_room(directory_of(to), total.saturating_sub(gone))?;
        let staged = StagedDirectory::create(to, self.replace)?;
        let progress = Progress::new("sealing", Some(files.iter().map(|file| file.size).sum()));
        let mut digests = std::collections::BTreeMap::new();
        for file in &files {
            let pieces = self.one(file, &staged, &progress)?;
            digests.insert(file.name.clone(), pieces);
        }
        if self.signers.is_some() {
            let name = std::fs::canonicalize(from).map_err(failed("find", from))?;
            let texts = self.bundles(last_part(&name), true, digests, from)?;
            for (text, name) in texts.iter().zip(bundles) {
                let path = staged.path().join(format!("{name}{AGE}"));
                self.small(text, &path, false)?.place(false)?;
            }
        }
        staged.place()
    }

    /// One file of a directory; its digest if it is to be signed.
    fn one(
        &self,
        file: &Entry,
        staged: &StagedDirectory,
        progress: &Progress,
    ) -> Result<Vec<Piece>, Error> {
        let (input, _) = regular(&file.path)?;
        let (output, target) = staged.file(&format!("{}{AGE}", file.name))?;
        let source = FileSource::new(&input, 0, file.size, PLAIN_GROUP);
        let mut digest = FileDigest::new(Method::Files);
        self.run(
            &source,
            &file.path,
            Output::File(&output, &target),
            &mut |bytes| {
                if self.signers.is_some() {
                    digest.update(bytes);
                }
                progress.add(bytes.len());
            },
        )?;
        output.sync_all().map_err(failed("save", &target))?;
        Ok(digest.finish())
    }

    /// Both bundles over one statement, ECDSA first.
    fn bundles(
        &self,
        name: String,
        is_directory: bool,
        files: std::collections::BTreeMap<String, Vec<Piece>>,
        from: &Path,
    ) -> Result<Vec<String>, Error> {
        let manifest = Manifest {
            name,
            method: Method::Files,
            ignore: ignored(is_directory),
            files,
        };
        let payload = manifest.write().map_err(refused(from))?;
        let signers = self.signers.iter().flatten();
        let bundles = signers.map(|signer| bundle::write(&payload, signer).map_err(refused(from)));
        bundles.collect()
    }

    /// A bundle, sealed, under its partial name.
    fn small(&self, text: &str, target: &Path, replace: bool) -> Result<StagedFile, Error> {
        let staged = StagedFile::create(target, replace)?;
        let source = StreamSource::new(text.as_bytes(), PLAIN_GROUP);
        let output = Output::File(staged.file(), staged.path());
        self.run(&source, target, output, &mut |_| {})?;
        Ok(staged)
    }

    fn run(
        &self,
        source: &dyn Source,
        from: &Path,
        output: Output<'_>,
        watch: &mut engine::Watch<'_>,
    ) -> Result<(), Error> {
        engine::seal(source, from, &self.recipients, output, self.threads, watch)
    }

    /// Bytes of a sealed file, a few more than it has.
    fn sealed(&self, plain: u64) -> u64 {
        sealed_length(plain) + 128 + self.recipients.len() as u64 * 1600
    }
}

/// Where the sealed bundles of a single sealed file are.
pub(super) fn beside(sealed: &Path) -> [PathBuf; 2] {
    let name = sealed.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(AGE).unwrap_or(&name);
    ["sig", "sig.mldsa"].map(|ending| sealed.with_file_name(format!("{stem}.{ending}{AGE}")))
}
