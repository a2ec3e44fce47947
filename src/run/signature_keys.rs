//! The keys of signatures, kept up to date as certificates are.

use std::path::PathBuf;
use std::sync::Arc;

use crate::signature::{ResponseSigner, Verifier};
use crate::tls::reload::{OtherFiles, Reread};

/// Whose signatures of requests count.
struct ClientKeys(Arc<Verifier>);

impl Reread for ClientKeys {
    fn setting(&self) -> &'static str {
        "signature.keys"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.0.file().to_owned()]
    }

    fn reread(&self) -> Result<bool, String> {
        self.0.reload().map_err(|error| error.to_string())
    }

    fn in_use(&self) -> Vec<String> {
        self.0.key_ids()
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }
}

/// What signs responses.
struct ResponseKeys(Arc<ResponseSigner>);

impl Reread for ResponseKeys {
    fn setting(&self) -> &'static str {
        "signature.responses"
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.files()
    }

    fn reread(&self) -> Result<bool, String> {
        self.0.reload().map_err(|error| error.to_string())
    }

    fn in_use(&self) -> Vec<String> {
        self.0.key_ids().to_vec()
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }
}

/// What a listener has of them.
pub(super) fn signature_keys(
    verifier: Option<&Arc<Verifier>>,
    responses: Option<&Arc<ResponseSigner>>,
) -> Vec<Arc<OtherFiles>> {
    let clients = verifier.map(|verifier| OtherFiles::new(ClientKeys(Arc::clone(verifier))));
    let own = responses.map(|signer| OtherFiles::new(ResponseKeys(Arc::clone(signer))));
    clients.into_iter().chain(own).map(Arc::new).collect()
}
