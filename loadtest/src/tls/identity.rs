//! The certificate that a client presents to a server which asks for one.

use std::path::Path;
use std::sync::Arc;

use hybridge_redact::Shown;
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::trust::ders;
use crate::error::{Error, Result};
use crate::regular;

/// Bytes of a file with a chain or a key.
const LARGEST: u64 = 1 << 20;

/// A chain and its key, loaded once for all connections.
#[derive(Clone, Debug)]
pub struct ClientIdentity(Arc<SingleCertAndKey>);

impl ClientIdentity {
    /// Reads two PEM files; `whose` is for messages.
    pub fn load(certificate: &Path, key: &Path, whose: &str) -> Result<Self> {
        let read = |path: &Path| regular::read(path, LARGEST);
        let wrong = |path: &Path, message: String| {
            Error::Usage(format!("{whose}: {}: {message}", Shown::path(path)))
        };
        let text = read(certificate)?;
        let chain = ders(&text).map_err(|message| wrong(certificate, message))?;
        if chain.is_empty() {
            return Err(wrong(certificate, "holds no CERTIFICATE block".into()));
        }
        let private = hybridge_pem::private_key(&read(key)?)
            .map_err(|error| wrong(key, error.to_string()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let pair = CertifiedKey::from_der(chain, private, &provider).map_err(|error| {
            let message = format!("not the key of {}: {error}", Shown::path(certificate));
            wrong(key, message)
        })?;
        Ok(Self(Arc::new(SingleCertAndKey::from(pair))))
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.0) as Arc<dyn ResolvesClientCert>
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> [std::path::PathBuf; 4] {
        let paths = ["a.crt", "a.key", "b.crt", "b.key"].map(|name| folder.join(name));
        for pair in paths.as_chunks::<2>().0 {
            let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
            std::fs::write(&pair[0], made.cert.pem()).unwrap();
            std::fs::write(&pair[1], made.signing_key.serialize_pem()).unwrap();
        }
        paths
    }

    #[test]
    fn a_pair_is_loaded_and_what_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key, _, other] = files(folder.path());
        ClientIdentity::load(&cert, &key, "target a").unwrap();
        for (cert, key, what) in [
            (&cert, &other, "b.key: not the key of"),
            (&key, &key, "a.key: holds no CERTIFICATE block"),
            (&cert, &cert, "a.crt: it holds no private key in PEM"),
        ] {
            let said = ClientIdentity::load(cert, key, "target a")
                .unwrap_err()
                .to_string();
            assert!(said.contains("target a: "), "{said}");
            assert!(said.contains(what), "{said}");
        }
        let good = std::fs::read_to_string(&cert).unwrap();
        let old = folder.path().join("old.pem");
        for label in ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
            let both = format!("\u{feff}{}{good}", good.replace("CERTIFICATE", label));
            std::fs::write(&old, both).unwrap();
            ClientIdentity::load(&old, &key, "target a").unwrap();
            super::super::Trust::load(Some(&old)).unwrap();
        }
        std::fs::write(&old, format!("{}{good}", good.trim_end())).unwrap();
        for refused in [
            ClientIdentity::load(&old, &key, "target a").map(drop),
            super::super::Trust::load(Some(&old)).map(drop),
        ] {
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("PEM block 1 (line 1) begins"), "{said}");
        }
        let one = std::fs::read_to_string(&key).unwrap();
        std::fs::write(&old, format!("{one}{one}")).unwrap();
        let said = ClientIdentity::load(&cert, &old, "target a").unwrap_err();
        assert!(
            said.to_string().contains("it holds 2 private keys"),
            "{said}"
        );
        let missing = folder.path().join("none");
        assert!(ClientIdentity::load(&missing, &key, "target a").is_err());
    }
}
