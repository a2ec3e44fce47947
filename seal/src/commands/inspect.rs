//! `hybridge inspect`: what a sealed file says without being opened, and, with an identity, which tensors
//! a sealed safetensors file has, by reading its first and last chunks.

mod tensors;

use std::io::Write;

use hybridge_page::printable_json;
use serde::Serialize;

use self::tensors::{Listed, Tensor};
use crate::age::header::{Header, short};
use crate::age::payload::{NONCE, plain_length};
use crate::age::{self, Resistance};
use crate::args::InspectArgs;
use crate::error::{Error, failed, sealed};
use crate::identity;
use crate::regular::regular;
use crate::sealed::{Opened, head};
use crate::shown::{Shown, size};

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    file: String,
    recipients: Vec<String>,
    /// `None`: there is a recipient of a kind that is not known.
    post_quantum: Option<bool>,
    header_bytes: u64,
    sealed_bytes: u64,
    plain_bytes: Option<u64>,
    /// Whether an identity opened the header and the last chunk.
    authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<Tensor>>,
    /// Why the tensors of a safetensors file are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_listed: Option<String>,
}

/// Inspects.
pub fn inspect(args: &InspectArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = &args.file;
    let (file, length) = regular(path)?;
    let mut input = head(&file);
    let header = Header::read(&mut input).map_err(failed("read", path))?;
    let header = header.map_err(sealed(path))?;
    let payload = length.checked_sub(header.length + NONCE as u64);
    let mut report = Report {
        schema: "hybridge-inspect/1",
        file: Shown::from(path.as_path()).to_string(),
        recipients: header
            .stanzas
            .iter()
            .map(|stanza| stanza.kind.clone())
            .collect(),
        post_quantum: match header.resistance() {
            Resistance::PostQuantum => Some(true),
            Resistance::Classical => Some(false),
            Resistance::NotKnown => None,
        },
        header_bytes: header.length,
        sealed_bytes: length,
        plain_bytes: payload.and_then(plain_length),
        authenticated: false,
        tensors: None,
        not_listed: None,
    };
    if let Some(identity) = &args.identity {
        let key = header.unwrap(&identity::identities(identity)?);
        let key = key.map_err(sealed(path))?;
        let opened = Opened::with_key(&header, &key, &mut input, path)?;
        let read = |at, bytes| opened.read_at(&file, path, length, at, bytes);
        let first = read(0, 8)?;
        report.authenticated = true;
        match tensors::listed(&first, report.plain_bytes.unwrap_or(0), &read)? {
            Listed::No => {}
            Listed::Yes(tensors) => report.tensors = Some(tensors),
            Listed::TooLong(why) => report.not_listed = Some(why),
        }
    }
    if report.plain_bytes.is_none() {
        return Err(sealed(path)(age::Error::Truncated { at: length }));
    }
    if args.json {
        let json =
            serde_json::to_string_pretty(&report).map_err(|error| Error::Output(error.into()))?;
        return writeln!(out, "{}", printable_json(&json)).map_err(Error::Output);
    }
    write(&report, &header, out).map_err(Error::Output)
}

fn write(report: &Report, header: &Header, out: &mut dyn Write) -> std::io::Result<()> {
    let post_quantum = match (report.post_quantum, header.unknown_kind()) {
        (Some(true), _) => "yes".to_owned(),
        (Some(false), _) => {
            "no: a quantum computer opens it through a classical recipient".to_owned()
        }
        (None, None) => "not known: it has no recipient".to_owned(),
        (None, Some(kind)) => format!(
            "not known: whether a quantum computer opens it through a recipient of the kind `{}`",
            Shown::text(&short(kind))
        ),
    };
    let plain = report.plain_bytes.unwrap_or(0);
    writeln!(out, "file          {}", report.file)?;
    writeln!(out, "recipients    {}", Shown::text(&header.recipients()))?;
    writeln!(out, "post-quantum  {post_quantum}")?;
    writeln!(out, "header        {} bytes", report.header_bytes)?;
    writeln!(
        out,
        "sealed        {} bytes ({})",
        report.sealed_bytes,
        size(report.sealed_bytes)
    )?;
    writeln!(out, "plaintext     {plain} bytes ({})", size(plain))?;
    if report.authenticated {
        writeln!(
            out,
            "identity      opens it; header and last chunk are authentic"
        )?;
    }
    if let Some(why) = &report.not_listed {
        writeln!(out, "tensors       not listed: {why}")?;
    }
    for tensor in report.tensors.iter().flatten() {
        let shape: Vec<_> = tensor.shape.iter().map(u64::to_string).collect();
        let Tensor {
            name, dtype, bytes, ..
        } = tensor;
        let (name, dtype) = (Shown::text(name), Shown::text(dtype));
        writeln!(
            out,
            "tensor        {name} {dtype} [{}] {bytes} bytes",
            shape.join(", ")
        )?;
    }
    Ok(())
}
