//! `hybridge keys`: new keys as files, secret ones for their owner only. Nothing is overwritten.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
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
use crate::staging::{StagedFile, place_all};

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Makes them and says where they are.
pub fn keys(args: &KeysArgs, out: &mut dyn Write) -> Result<(), Error> {
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
    let staged = files
        .iter()
        .map(|(path, mode, text)| stage(path, *mode, text));
    place_all(staged.collect::<Result<_, _>>()?)?;
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

fn stage(path: &Path, mode: u32, text: &str) -> Result<StagedFile, Error> {
    let staged = StagedFile::create(path, false)?.with_mode(mode);
    let mut file = staged.file();
    file.write_all(text.as_bytes())
        .map_err(failed("write", path))?;
    Ok(staged)
}
