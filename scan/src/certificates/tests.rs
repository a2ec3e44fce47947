#![allow(clippy::unwrap_used)]
use super::*;

fn ca() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().der().to_vec()
}

fn read(ders: &[&[u8]], sent: usize) -> (Certificates, Vec<String>) {
    let seen = Seen {
        ders: ders.iter().map(|der| der.to_vec()).collect(),
        sent,
        ..Seen::default()
    };
    let (mut found, mut notes) = (Certificates::default(), Vec::new());
    found.read_chain(&seen, &mut notes);
    (found, notes)
}

#[test]
fn no_other_certificate_stands_where_the_leaf_cannot_be_read() {
    let ca = ca();
    let (found, notes) = read(&[b"no DER", &ca], 2);
    assert_eq!((found.leaf(), found.chain.len()), (None, 0));
    assert_eq!(found.unreadable, [Place::Leaf]);
    let said = "the server's certificate cannot be read: 6 bytes with SHA-256 ";
    assert!(notes[0].starts_with(said), "{notes:?}");
}

#[test]
fn what_is_left_out_of_a_chain_is_said() {
    let ca = ca();
    let (found, notes) = read(&[&ca, b"x", &ca, b"y"], 40);
    assert_eq!(found.chain.len(), 2);
    assert_eq!(found.unreadable, [Place::Issuer]);
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].starts_with("a certificate behind the server's cannot be read: 1 bytes"));
    assert_eq!(
        notes[2],
        "the server sent 40 certificates, of which 16 were looked at"
    );
    assert_eq!(read(&[&ca], 1).1.len(), 0);
}
