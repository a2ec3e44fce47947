//! `hybridge keys`: new keys as files, secret ones for their owner only. Nothing is overwritten.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::age::keys::Identity;
use crate::args::{KeysArgs, Purpose};
use crate::error::{Error, failed};
use crate::shown::Shown;
use crate::signature::keys::{Kind, Signer};
use crate::signature::model::refused;

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Makes them and says where they are.
pub fn keys(args: &KeysArgs, out: &mut impl Write) -> Result<(), Error> {
    let (directory, files) = match &args.purpose {
        Purpose::Seal(out) => (&out.out, for_sealing(&out.out)?),
        Purpose::Sign(out) => (&out.out, for_signing(&out.out)?),
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(failed("create the directory", directory))?;
    // All or none: a pair must not be mixed of two runs.
    for (path, ..) in &files {
        if fs::symlink_metadata(path).is_ok() {
            let path = Shown::from(path.as_path());
            return Err(Error::Refused(format!(
                "{path}: exists, and a key is not overwritten: choose another directory"
            )));
        }
    }
    for (path, mode, text) in &files {
        write_new(path, *mode, text)?;
    }
    for (path, mode, _) in &files {
        let what = if *mode == SECRET { "secret" } else { "public" };
        writeln!(out, "{what}  {}", Shown::from(path.as_path())).map_err(Error::Output)?;
    }
    Ok(())
}

type Files = Vec<(PathBuf, u32, Zeroizing<String>)>;

fn for_sealing(directory: &Path) -> Result<Files, Error> {
    let random = |error: crate::age::Error| Error::Refused(error.to_string());
    let identity = Identity::generate().map_err(random)?;
    let recipient = identity.recipient().to_string();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).ok();
    let created = now
        .and_then(|now| now.format(&Rfc3339).ok())
        .unwrap_or_default();
    let secret = Zeroizing::new(format!(
        "# created: {created}\n# public key: {recipient}\n{}\n",
        *identity.text()
    ));
    Ok(vec![
        (directory.join("identity.txt"), SECRET, secret),
        (
            directory.join("recipient.txt"),
            PUBLIC,
            Zeroizing::new(format!("{recipient}\n")),
        ),
    ])
}

fn for_signing(directory: &Path) -> Result<Files, Error> {
    let mut files = Vec::new();
    for (kind, name) in [(Kind::Ecdsa, "ec"), (Kind::MlDsa, "mldsa")] {
        let signer = Signer::generate(kind).map_err(refused(directory))?;
        let private = signer.private_pem().map_err(refused(directory))?;
        let public = signer.public_pem().map_err(refused(directory))?;
        files.push((directory.join(format!("{name}.key")), SECRET, private));
        files.push((
            directory.join(format!("{name}.pub")),
            PUBLIC,
            Zeroizing::new(public),
        ));
    }
    Ok(files)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let write = |mut file: fs::File| -> io::Result<()> {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    opened.and_then(write).map_err(failed("create", path))
}
