//! Certificates of CAs in PEM: of a file, all of which have to be of use, or of an agent.

use std::path::Path;

use hybridge_pem::{Block, PemError};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;

use super::{Ca, CaError, Certifies, ParsedCas, trusted};
use crate::redact::Shown;

/// The certificates of a file at `now` (unix seconds).
pub(in crate::tls) fn parse(
    path: &Path,
    text: &[u8],
    now: i64,
    certifies: Certifies,
    verifies: WebPkiSupportedAlgorithms,
) -> Result<ParsedCas, CaError> {
    read(
        path,
        text,
        now,
        ParsedCas::none(certifies, Some(verifies)),
        Err,
    )
}

/// The same of an agent: of several one that cannot be used is left out, and returned beside them.
pub(in crate::tls) fn parse_usable(
    path: &Path,
    text: &[u8],
    now: i64,
    certifies: Certifies,
    verifies: WebPkiSupportedAlgorithms,
) -> Result<(ParsedCas, Vec<CaError>), CaError> {
    let mut left_out = Vec::new();
    let none = ParsedCas::none(certifies, Some(verifies));
    let parsed = read(path, text, now, none, |error| {
        left_out.push(error);
        Ok(())
    });
    match parsed {
        Err(CaError::Empty { .. }) if !left_out.is_empty() => Err(left_out.swap_remove(0)),
        parsed => Ok((parsed?, left_out)),
    }
}

fn read(
    path: &Path,
    text: &[u8],
    now: i64,
    mut parsed: ParsedCas,
    mut unusable: impl FnMut(CaError) -> Result<(), CaError>,
) -> Result<ParsedCas, CaError> {
    let malformed = |cause| CaError::Pem {
        path: path.into(),
        cause,
    };
    let certifies = parsed.certifies;
    for block in hybridge_pem::blocks(text).map_err(malformed)? {
        let der = decode(path, &block, malformed)?;
        let ca = Ca {
            place: place(path, &block),
            certifies,
            now,
        };
        let of_openssl = trusted::warning(&block, &ca.place, certifies);
        if let Err(error) = parsed.add(&ca, der) {
            unusable(error)?;
            continue;
        }
        parsed.warnings.extend(of_openssl);
    }
    parsed.warn_of_useless(path)?;
    Ok(parsed)
}

fn place(path: &Path, block: &Block) -> String {
    format!("{}: {}", Shown::path(path), block.at)
}

fn decode(
    path: &Path,
    block: &Block,
    malformed: impl Fn(PemError) -> CaError,
) -> Result<CertificateDer<'static>, CaError> {
    let place = || place(path, block);
    match block.decode().map_err(malformed)? {
        Some((SectionKind::Certificate, der)) => Ok(der.into()),
        Some((
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
            _,
        )) => Err(CaError::PrivateKey { place: place() }),
        _ => Err(CaError::Certificate {
            place: place(),
            cause: format!("it is `{}`", block.label),
        }),
    }
}
