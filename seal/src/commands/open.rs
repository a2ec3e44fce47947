//! `hybridge open`: decrypts and hashes at once under a partial name, and gives the name when both
//! signatures and every file are right.

mod directory;
mod found;
mod signed;

use std::io::BufReader;
use std::path::Path;

use self::found::{Sealed, UNSIGNED, warn};
use super::seal::beside;
use super::{input, is_stream, say, standard_output};
use crate::age::keys::Identity;
use crate::args::OpenArgs;
use crate::digest::{FileDigest, Method};
use crate::error::Error;
use crate::identity;
use crate::memory::{require_memory, require_room, threads};
use crate::progress::Progress;
use crate::sealed::{Opened, Output, SEALED_GROUP};
use crate::signature;
use crate::signature::keys::{Kind, Verifier};
use crate::signature::manifest::{Manifest, SINGLE, list};
use crate::signature::model::{self, refused};
use crate::source::StreamSource;
use crate::staging::{StagedFile, directory_of, require_apart};
use crate::tree::bytes_below;

/// How KServe names a source; what follows is a path.
const SCHEME: &str = "sealed://";

/// Opens.
pub fn open(args: &OpenArgs) -> Result<(), Error> {
    let path = args
        .from
        .to_str()
        .and_then(|from| from.strip_prefix(SCHEME));
    let Some(path) = path else {
        return open_path(args);
    };
    if !path.starts_with('/') {
        return Err(Error::Usage(
            "sealed:// is followed by an absolute path: sealed:///PATH".to_owned(),
        ));
    }
    open_path(&OpenArgs {
        from: path.into(),
        ..args.clone()
    })
}

fn open_path(args: &OpenArgs) -> Result<(), Error> {
    // `<(…)` and `/dev/stdin` are pipes with a name.
    let metadata = std::fs::metadata(&args.from);
    let has_no_place = metadata.is_ok_and(|from| !from.is_file() && !from.is_dir());
    let streams = [is_stream(&args.from) || has_no_place, is_stream(&args.to)];
    if args.verify_with.is_some() && streams != [false, false] {
        return Err(Error::Usage(
            "--verify-with: what goes through a pipe is out before it can be verified: name files, or add --unsafe-unsigned instead".to_owned(),
        ));
    }
    if args.require_memory && streams[1] {
        return Err(Error::Usage(
            "--require-memory: nobody knows where a pipe ends: name a file or a directory"
                .to_owned(),
        ));
    }
    let job = Job {
        verifiers: args.verify_with.as_deref().map(verifiers).transpose()?,
        identities: identity::identities(&args.identity)?,
        threads: threads(args.threads),
        args,
    };
    if streams[0] {
        return job.stream();
    }
    if !args.from.is_dir() {
        return job.file();
    }
    if streams[1] {
        return Err(Error::Usage(
            "a directory cannot go to standard output: name a directory".to_owned(),
        ));
    }
    job.directory()
}

/// `ec.pub` and `mldsa.pub` of a directory.
fn verifiers(directory: &Path) -> Result<[Verifier; 2], Error> {
    Ok([
        model::verifier(Kind::Ecdsa, &directory.join("ec.pub"))?,
        model::verifier(Kind::MlDsa, &directory.join("mldsa.pub"))?,
    ])
}

struct Job<'a> {
    args: &'a OpenArgs,
    identities: Vec<Identity>,
    verifiers: Option<[Verifier; 2]>,
    threads: usize,
}

impl Job<'_> {
    fn stream(&self) -> Result<(), Error> {
        let from = &self.args.from;
        let mut input = BufReader::new(input(from)?);
        let opened = self.opened(&mut input, from)?;
        let source = StreamSource::new(input, SEALED_GROUP);
        let progress = Progress::new("opening", None);
        let mut watch = |bytes: &[u8]| progress.add(bytes.len());
        if is_stream(&self.args.to) {
            let mut out = standard_output()?;
            return opened.open(
                &source,
                from,
                Output::Stream(&mut out),
                self.threads,
                &mut watch,
            );
        }
        self.examine(0)?;
        let staged = StagedFile::create(&self.args.to, self.args.replace)?;
        let output = Output::File(staged.file(), staged.path());
        opened.open(&source, from, output, self.threads, &mut watch)?;
        staged.place(self.args.replace)
    }

    fn file(&self) -> Result<(), Error> {
        let from = &self.args.from;
        if !is_stream(&self.args.to) {
            require_apart(from, &self.args.to)?;
        }
        let manifest = self.manifest(&beside(from))?;
        if let Some(manifest) = &manifest {
            manifest
                .compare_names([SINGLE].into_iter())
                .map_err(refused(from))?;
        }
        let file = Sealed::find(from, &self.identities)?;
        warn(from, None, file.resistance());
        let progress = Progress::new("opening", Some(file.plain));
        if is_stream(&self.args.to) {
            let mut out = standard_output()?;
            let mut watch = |bytes: &[u8]| progress.add(bytes.len());
            return file.run(Output::Stream(&mut out), self.threads, &mut watch);
        }
        self.examine(file.plain)?;
        let staged = StagedFile::create(&self.args.to, self.args.replace)?;
        let output = Output::File(staged.file(), staged.path());
        if !self.is_as_signed(SINGLE, &file, output, &progress, manifest.as_ref())? {
            return Err(changed(from, vec![SINGLE]));
        }
        staged.place(self.args.replace)?;
        self.tell(1, manifest.as_ref());
        Ok(())
    }

    /// Opens one file and says whether it is what was signed, if anything was.
    fn is_as_signed(
        &self,
        name: &str,
        file: &Sealed,
        output: Output<'_>,
        progress: &Progress,
        manifest: Option<&Manifest>,
    ) -> Result<bool, Error> {
        let method = manifest.map_or(Method::Files, |manifest| manifest.method);
        let mut digest = FileDigest::new(method);
        file.run(output, self.threads, &mut |bytes| {
            if manifest.is_some() {
                digest.update(bytes);
            }
            progress.add(bytes.len());
        })?;
        Ok(manifest.is_none_or(|manifest| manifest.compare(name, &digest.finish())))
    }

    fn opened(&self, from: &mut impl std::io::BufRead, name: &Path) -> Result<Opened, Error> {
        let opened = Opened::read(from, name, &self.identities)?;
        warn(name, None, opened.resistance);
        if self.verifiers.is_none() {
            say(UNSIGNED);
        }
        Ok(opened)
    }

    /// Whether the result may go where it is wanted and fits.
    fn examine(&self, bytes: u64) -> Result<(), Error> {
        let to = &self.args.to;
        let place = if to.is_dir() { to } else { directory_of(to) };
        if self.args.require_memory {
            require_memory(place)?;
        }
        // What is replaced makes room first, but only in a directory.
        let replaced = self.args.replace && to.is_dir();
        let gone = if replaced { bytes_below(to) } else { 0 };
        require_room(place, bytes.saturating_sub(gone))
    }
}

fn changed(from: &Path, names: Vec<&str>) -> Error {
    let told = list(&("changed after it was signed", names));
    refused(from)(signature::Error::Files(vec![told]))
}
