//! ML-DSA keys in a token of PKCS#11 3.2 sign handshakes. `HYBRIDGE_ML_DSA_MODULE` names the module; `pkcs11/tests/kryoptic`
//! builds kryoptic and runs this with it. Debian has no token with the mechanism that needs no device.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, MlDsaParameterSetType};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use hybridge_pkcs11::{Error, Key, Kind, Uri};
use rcgen::{CertificateParams, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;

use support::handshake;

const MODULE: &str = "HYBRIDGE_ML_DSA_MODULE";
const DIRECTORY: &str = "HYBRIDGE_TEST_TOKEN";
const PIN: &str = "secret-pin-4711";

const SETS: [(
    Kind,
    MlDsaParameterSetType,
    SignatureScheme,
    &SignatureAlgorithm,
); 3] = [
    (
        Kind::MlDsa44,
        MlDsaParameterSetType::ML_DSA_44,
        SignatureScheme::ML_DSA_44,
        &rcgen::PKCS_ML_DSA_44,
    ),
    (
        Kind::MlDsa65,
        MlDsaParameterSetType::ML_DSA_65,
        SignatureScheme::ML_DSA_65,
        &rcgen::PKCS_ML_DSA_65,
    ),
    (
        Kind::MlDsa87,
        MlDsaParameterSetType::ML_DSA_87,
        SignatureScheme::ML_DSA_87,
        &rcgen::PKCS_ML_DSA_87,
    ),
];

/// A module reads its configuration from the environment, so the test itself runs in a process of its own.
fn with_token(test: &str, body: impl FnOnce(&Path, &str)) {
    let module = std::env::var_os(MODULE).expect("HYBRIDGE_ML_DSA_MODULE names the module");
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return body(Path::new(&directory), module.to_str().unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("token.conf");
    let database = directory.path().join("token.sql");
    let database = database.display();
    let text = format!("[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = \"{database}\"\n");
    fs::write(&config, text).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(DIRECTORY, directory.path())
        .env("KRYOPTIC_CONF", &config)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert!(!text.contains(PIN), "{text}");
}

/// A new token `tests` with a key of each set, labelled with its kind; the public keys in the order of `SETS`.
fn token(module: &str) -> Vec<Vec<u8>> {
    let library = Pkcs11::new(module).unwrap();
    let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    library.initialize(threads).unwrap();
    let slot = library.get_slots_with_token().unwrap()[0];
    let administrator = AuthPin::new("12345678".into());
    library.init_token(slot, &administrator, "tests").unwrap();
    let session = library.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&administrator)).unwrap();
    session.init_pin(&AuthPin::new(PIN.into())).unwrap();
    session.logout().unwrap();
    let user = AuthPin::new(PIN.into());
    session.login(UserType::User, Some(&user)).unwrap();
    let keys = SETS.map(|(kind, set, ..)| generate(&session, kind.name(), set));
    session.logout().unwrap();
    drop(session);
    library.finalize().unwrap();
    keys.into()
}

/// The private key never leaves the token.
fn generate(session: &Session, label: &str, set: MlDsaParameterSetType) -> Vec<u8> {
    let label = || Attribute::Label(label.as_bytes().to_vec());
    let public = [
        Attribute::Token(true),
        Attribute::Verify(true),
        Attribute::ParameterSet(set.into()),
        label(),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        label(),
    ];
    let made = session.generate_key_pair(&Mechanism::MlDsaKeyPairGen, &public, &private);
    let found = session.get_attributes(made.unwrap().0, &[AttributeType::Value]);
    match found.unwrap().as_slice() {
        [Attribute::Value(key)] => key.clone(),
        other => panic!("{other:?}"),
    }
}

fn uri(directory: &Path, module: &str, label: &str) -> Uri {
    let pin: PathBuf = directory.join("pin");
    fs::write(&pin, PIN).unwrap();
    let pin = pin.display();
    format!("pkcs11:token=tests;object={label}?module-path={module}&pin-source=file:{pin}")
        .parse()
        .unwrap()
}

/// A key that certifies itself: its certificate is signed in the token too.
struct InToken {
    key: Arc<Key>,
    public: Vec<u8>,
    scheme: SignatureScheme,
    algorithm: &'static SignatureAlgorithm,
}

impl PublicKeyData for InToken {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for InToken {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.signing_key().choose_scheme(&[self.scheme]);
        let signed = signer.ok_or(rcgen::Error::RemoteKeyError)?.sign(message);
        signed.map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

impl InToken {
    fn certificate(&self) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["hsm.test".to_owned()]).unwrap();
        params.self_signed(self).unwrap().der().clone()
    }
}

#[test]
#[ignore = "needs a token with ML-DSA: pkcs11/tests/kryoptic builds one and runs this"]
fn each_set_signs_handshakes_and_no_other_kind_is_taken() {
    let name = "each_set_signs_handshakes_and_no_other_kind_is_taken";
    with_token(name, |directory, module| {
        for (public, (kind, _, scheme, algorithm)) in token(module).into_iter().zip(SETS) {
            let uri = uri(directory, module, kind.name());
            let key = Key::open(&uri, kind).unwrap();
            let own = InToken {
                key: Arc::clone(&key),
                public,
                scheme,
                algorithm,
            };
            let certificate = own.certificate();
            for _ in 0..3 {
                handshake(&key, &certificate).unwrap();
            }
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| (0..5).for_each(|_| handshake(&key, &certificate).unwrap()));
                }
            });
            let classical = SignatureScheme::ECDSA_NISTP256_SHA256;
            assert!(key.signing_key().choose_scheme(&[classical]).is_none());
            let error = Key::open(&uri, Kind::P256).unwrap_err();
            assert!(matches!(error, Error::WrongKind { .. }), "{error}");
        }
    });
}
