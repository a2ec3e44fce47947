//! Keys of responses that others may read.
#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ML_DSA_65};

use super::*;
use crate::signature::response::ResponseSigner;

/// The thread of the runtime asks for them, and a dead mount must not stop it.
#[test]
fn warnings_are_made_with_the_keys_and_touch_no_file_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ResponseSettings {
        keys: dir.path().to_owned(),
        model: None,
        sse_comment: false,
    };
    let [ec, ml_dsa] = key_files(&settings);
    for (path, algorithm) in [(&ec, &PKCS_ECDSA_P256_SHA256), (&ml_dsa, &PKCS_ML_DSA_65)] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        std::fs::write(path, key.serialize_pem()).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let signer = ResponseSigner::load(&settings).unwrap();
    let one = std::fs::read_to_string(&ml_dsa).unwrap();
    std::fs::write(&ml_dsa, one.repeat(2)).unwrap();
    let error = ResponseSigner::load(&settings).err().unwrap();
    assert!(
        error.to_string().contains("holds 2 private keys"),
        "{error}"
    );
    drop(dir);
    let said = signer.warnings();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("read by everybody (mode 0644)"),
        "{said:?}"
    );
}
