//! `hybridge sign` and `hybridge verify`.

use std::io::Write;
use std::path::PathBuf;

use crate::args::{MethodName, SignArgs, VerifyArgs};
use crate::digest::Method;
use crate::error::{Error, failed};
use crate::memory::threads;
use crate::shown::Shown;
use crate::signature::keys::Kind;
use crate::signature::model::{self, Model, refused};
use crate::signature::{CLASSICAL, POST_QUANTUM, both, bundle};
use crate::staging::{StagedFile, partial_name};

use super::say;

/// Signs twice over one statement.
pub fn sign(args: &SignArgs, out: &mut dyn Write) -> Result<(), Error> {
    let signers = [
        model::signer(Kind::Ecdsa, &args.key)?,
        model::signer(Kind::MlDsa, &args.pq_key)?,
    ];
    let mut model = Model::find(&args.model)?;
    // What a run that was ended left is overwritten by this one.
    let left = [CLASSICAL, POST_QUANTUM].map(partial_name);
    model
        .files
        .retain(|file| !left.iter().any(|left| *left == *file.name));
    let method = match args.method {
        MethodName::Files => Method::Files,
        MethodName::Shards => Method::Shards(args.shard_size),
    };
    // Not after an hour of hashing.
    let bundles = model.bundles();
    let mut staged = Vec::new();
    for path in &bundles {
        if !args.replace && std::fs::symlink_metadata(path).is_ok() {
            let path = Shown::from(path.as_path());
            return Err(Error::Refused(format!(
                "{path}: exists: the model was signed before; add --replace to sign it again"
            )));
        }
        staged.push(StagedFile::create(path, args.replace)?);
    }
    let manifest = model.manifest(method, threads(args.threads))?;
    let payload = manifest.write().map_err(refused(&args.model))?;
    for (signer, staged) in signers.iter().zip(&staged) {
        let text = bundle::write(&payload, signer).map_err(refused(&args.model))?;
        let written = staged.file().write_all(text.as_bytes());
        written.map_err(failed("write", staged.path()))?;
    }
    for staged in staged {
        staged.place(args.replace)?;
    }
    for path in &bundles {
        writeln!(out, "{}", Shown::from(path.as_path())).map_err(Error::Output)?;
    }
    Ok(())
}

/// Verifies both signatures, then every file.
pub fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<(), Error> {
    let mut verifiers = vec![model::verifier(Kind::Ecdsa, &args.public_key)?];
    if let Some(path) = &args.pq_public_key {
        verifiers.push(model::verifier(Kind::MlDsa, path)?);
    } else {
        say(
            "--only-classical: the ML-DSA signature is not verified, and a quantum computer forges the other",
        );
    }
    let mut model = Model::find(&args.model)?;
    let bundles = model.bundles();
    let paths = bundles.iter().map(PathBuf::as_path);
    let manifest = both::verified(paths.zip(&verifiers), both::read_bundle)?;
    manifest
        .require_name(args.name.as_deref())
        .map_err(refused(&args.model))?;
    let left_out = model.leave_out(&manifest);
    if !left_out.is_empty() {
        let names = Shown::list(&left_out);
        say(&format!("not covered by the signature: {names}"));
    }
    model.compare(&manifest, threads(args.threads))?;
    let by = if args.only_classical {
        "the ECDSA signature only"
    } else {
        "both signatures, ECDSA and ML-DSA"
    };
    let (count, name) = (model.files.len(), Shown::text(&manifest.name));
    let files = if count == 1 { "file" } else { "files" };
    writeln!(out, "{name}: {count} {files} as signed, by {by}").map_err(Error::Output)
}
