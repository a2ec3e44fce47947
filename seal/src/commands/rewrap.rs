//! `hybridge rewrap`: new recipients around the same file key. `hybridge reseal`: a new file key, which is
//! what keeps out those who had the old one.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::seal::beside;
use super::{AGE, say};
use crate::age::header::Header;
use crate::age::keys::{Identity, Recipient};
use crate::args::RewrapArgs;
use crate::error::{Error, failed, sealed};
use crate::identity;
use crate::memory::{require_room, threads};
use crate::progress::Progress;
use crate::regular::regular;
use crate::sealed::{self as engine, Opened, Output, PLAIN_GROUP, Plaintext, head};
use crate::shown::Shown;
use crate::source::StreamSource;
use crate::staging::{StagedFile, directory_of, is_partial};
use crate::tree;

/// New recipients, same payload.
pub fn rewrap(args: &RewrapArgs, out: &mut dyn Write) -> Result<(), Error> {
    each(args, out, "rewrapped", |job, path| {
        let (mut file, length) = regular(path)?;
        let mut input = head(&file);
        let header = Header::read(&mut input).map_err(failed("read", path))?;
        let header = header.map_err(sealed(path))?;
        let key = header.unwrap(&job.identities).map_err(sealed(path))?;
        // Its end, so that a file that was cut off is not taken for a good one.
        let opened = Opened::with_key(&header, &key, &mut input, path)?;
        opened.check_end(&file, path, length)?;
        let head = Header::write(&job.recipients, &key).map_err(sealed(path))?;
        let staged = job.stage(path, &file)?;
        let cannot = failed("write", staged.path());
        let mut to = staged.file();
        to.write_all(&head).map_err(&cannot)?;
        file.seek(SeekFrom::Start(header.length))
            .map_err(failed("read", path))?;
        // In the kernel, where the file systems allow it.
        let copied = std::io::copy(&mut file, &mut to).map_err(&cannot)?;
        if header.length + copied != length {
            return Err(Error::Refused(format!(
                "{}: it changed while it was read: nothing was written",
                Shown::from(path)
            )));
        }
        staged.place(true)
    })?;
    say(
        "rewrap revokes nothing: anyone who could open a file before can have kept its key; `hybridge reseal` makes a new one",
    );
    Ok(())
}

/// New recipients, new key, new payload.
pub fn reseal(args: &RewrapArgs, out: &mut dyn Write) -> Result<(), Error> {
    each(args, out, "resealed", |job, path| {
        let (file, length) = regular(path)?;
        let mut input = head(&file);
        let opened = Opened::read(&mut input, path, &job.identities)?;
        let staged = job.stage(path, &file)?;
        let progress = Progress::new("resealing", opened.plain_length(length));
        let source = StreamSource::new(Plaintext::new(opened, input), PLAIN_GROUP);
        let output = Output::File(staged.file(), staged.path());
        let mut watch = |bytes: &[u8]| progress.add(bytes.len());
        engine::seal(
            &source,
            path,
            &job.recipients,
            output,
            job.threads,
            &mut watch,
        )?;
        staged.place(true)
    })
}

struct Job {
    identities: Vec<Identity>,
    recipients: Vec<Recipient>,
    threads: usize,
}

impl Job {
    /// Beside the file, which stays until the new one is whole; as readable as it.
    fn stage(&self, path: &Path, file: &File) -> Result<StagedFile, Error> {
        let metadata = file.metadata().map_err(failed("read", path))?;
        let more = self.recipients.len() as u64 * 1600;
        require_room(directory_of(path), metadata.len() + more)?;
        StagedFile::create(path, true)
    }
}

fn each(
    args: &RewrapArgs,
    out: &mut dyn Write,
    done: &str,
    work: impl Fn(&Job, &Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let job = Job {
        recipients: identity::recipients(&args.recipients)?,
        identities: identity::identities(&args.identity)?,
        threads: threads(args.threads),
    };
    let files = files(&args.files)?;
    // A report that nobody reads must not leave the other files as they were.
    let mut reported = Ok(());
    for path in &files {
        // The file itself: a link to it stays one.
        let real = std::fs::canonicalize(path).map_err(failed("read", path))?;
        work(&job, &real)?;
        let line = writeln!(out, "{done} {}", Shown::from(path.as_path()));
        reported = reported.and(line);
    }
    tell_left(&files, done);
    reported.map_err(Error::Output)
}

/// Says which signatures of a single file keep their recipients: without them the file does not open.
fn tell_left(files: &[PathBuf], done: &str) {
    let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
    let named: Vec<_> = files.iter().filter_map(real).collect();
    let bundles = files.iter().flat_map(|file| beside(file));
    let left = bundles.filter(|bundle| real(bundle).is_some_and(|real| !named.contains(&real)));
    let left: Vec<_> = left
        .map(|bundle| Shown::from(bundle.as_path()).to_string())
        .collect();
    if !left.is_empty() {
        say(&format!(
            "not {done}, and needed by `open --verify-with`: {}: run the command with them too",
            left.join(", ")
        ));
    }
}

/// Those named, and the sealed ones of directories.
fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut all = Vec::new();
    for path in given {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let (entries, _) = tree::files(path, &[])?;
        let found = entries
            .into_iter()
            // What an earlier run left is cleared when its own file is next.
            .filter(|entry| entry.name.ends_with(AGE) && !is_partial(&entry.name));
        let before = all.len();
        all.extend(found.map(|entry| entry.path));
        if all.len() == before {
            let path = Shown::from(path.as_path());
            return Err(Error::Refused(format!(
                "{path}: no sealed file ({AGE}) in it"
            )));
        }
    }
    Ok(all)
}
