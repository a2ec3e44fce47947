//! The CAs that a probe trusts.

use std::io::Read;
use std::path::{Path, PathBuf};

use hybridge_pem::Certificate;
use rustls::RootCertStore;

use crate::regular;

/// Where systems keep the CAs that they trust, in one file.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// Bytes of a file of CAs at most.
const AUTHORITIES: u64 = 16 << 20;
/// The CAs, and where they come from.
pub(super) fn roots(file: Option<&Path>) -> Result<(RootCertStore, String), String> {
    let mut roots = RootCertStore::empty();
    let path = match file {
        Some(path) => path.to_owned(),
        None => match SYSTEM.iter().find(|path| Path::new(path).exists()) {
            Some(path) => PathBuf::from(path),
            None => return Ok((roots, "no CAs: this system has none".to_owned())),
        },
    };
    let shown = path.display().to_string();
    let mut text = Vec::new();
    let opened = regular::open(&path, "it is not a regular file");
    let read = opened.and_then(|file| file.take(AUTHORITIES).read_to_end(&mut text));
    read.map_err(|error| format!("{shown}: {error}"))?;
    if text.len() as u64 == AUTHORITIES {
        return Err(format!("{shown}: larger than {} MiB", AUTHORITIES >> 20));
    }
    let of = if file.is_some() {
        Bundle::Named
    } else {
        Bundle::System
    };
    fill(&mut roots, &text, &shown, of)?;
    if roots.is_empty() && file.is_some() {
        return Err(format!("{shown}: no certificate in it"));
    }
    Ok((roots, shown))
}

/// Whose choice a file of CAs is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Bundle {
    /// The operator's, by `--ca`: it has to be right.
    Named,
    /// The system's own: of it is used what can be used, as other programs do.
    System,
}

fn fill(roots: &mut RootCertStore, text: &[u8], shown: &str, of: Bundle) -> Result<(), String> {
    if of == Bundle::System {
        roots.add_parsable_certificates(hybridge_pem::readable_certificates(text));
        return Ok(());
    }
    let certificates = hybridge_pem::certificates(text);
    let certificates = certificates.map_err(|error| format!("{shown}: {error}"))?;
    for Certificate { at, der } in certificates {
        let added = roots.add(der);
        added.map_err(|error| format!("{shown}: {at}: no CA: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_certificate_is_passed_over() {
        let ca = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::default();
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            parameters.self_signed(&key).unwrap().pem()
        };
        let (first, second) = (ca(), ca());
        for second in [
            second.clone(),
            second.replace("CERTIFICATE", "X509 CERTIFICATE"),
            second.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        ] {
            let text = format!("\u{feff}{first}{second}");
            let mut roots = RootCertStore::empty();
            fill(&mut roots, text.as_bytes(), "x", Bundle::Named).unwrap();
            assert_eq!(roots.len(), 2, "{second}");
        }
        let together = format!("{}{second}", first.trim_end());
        let mut roots = RootCertStore::empty();
        let error = fill(&mut roots, together.as_bytes(), "x", Bundle::Named).unwrap_err();
        assert!(error.starts_with("x: PEM block 1 (line 1)"), "{error}");
    }

    #[test]
    fn one_unreadable_block_of_the_system_leaves_the_others() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let good = parameters.self_signed(&key).unwrap().pem();
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let end = "-----END CERTIFICATE-----\n";
        for bad in [
            format!("{begin}!!!!\n{end}"),
            format!("{begin}AAAA\n{end}"),
            "-----BEGIN CERTIFICATE--\n".to_owned(),
        ] {
            let text = format!("{good}{bad}{good}");
            let mut roots = RootCertStore::empty();
            fill(&mut roots, text.as_bytes(), "x", Bundle::System).unwrap();
            assert_eq!(roots.len(), 2, "{bad}");
            let mut roots = RootCertStore::empty();
            let error = fill(&mut roots, text.as_bytes(), "x", Bundle::Named).unwrap_err();
            assert!(error.starts_with("x: "), "{error}");
        }
    }
}
