//! The way from a server's certificate to the last issuer in its file: what clients refuse there is said, and served.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyUsagePurpose, NameConstraints, SanType,
};

use super::{load, pki};
use crate::support::pki::{Pair, ca_params, client, new_key, uri};
use hybridge::certgen::Algorithm;

fn server(names: &[SanType]) -> CertificateParams {
    let mut params = client(names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// The one warning, or nothing.
#[track_caller]
fn warning(pair: &Pair) -> String {
    let credentials = load(pair).unwrap();
    let warnings: Vec<_> = credentials
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(warnings.len() < 2, "{warnings:?}");
    warnings.concat()
}

fn constraints(permitted: &str) -> NameConstraints {
    NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(permitted.to_owned())],
        excluded_subtrees: Vec::new(),
    }
}

#[test]
fn an_issuer_that_clients_refuse_is_warned_of() {
    let ca = || ca_params("The Issuer");
    let changed = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca();
        change(&mut params);
        params
    };
    let leaf = server(&[dns("api.test")]);
    let good = [
        ca(),
        changed(&|ca| ca.key_usages.clear()),
        changed(&|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        changed(&|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        changed(&|ca| ca.name_constraints = Some(constraints("test"))),
    ];
    for params in good {
        assert_eq!(warning(&pki().chain_of(&params, &leaf)), "");
    }
    for (params, block, said) in [
        (
            changed(&|ca| ca.is_ca = IsCa::ExplicitNoCa),
            2,
            "is not that of a CA (basic constraints): clients refuse what it issued",
        ),
        (
            changed(&|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]),
            2,
            "its key usage lacks keyCertSign: clients refuse what it issued",
        ),
        (
            changed(&|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            2,
            "its extended key usage lacks serverAuth: clients refuse what it issued",
        ),
        (
            changed(&|ca| ca.name_constraints = Some(constraints("example.org"))),
            1,
            "its names are not among those that a CA above it may certify",
        ),
    ] {
        let said_of = warning(&pki().chain_of(&params, &leaf));
        let block = format!("PEM block {block} ");
        assert!(
            said_of.contains(&block) && said_of.contains(said),
            "{said_of}"
        );
    }
}

#[test]
fn more_cas_than_one_above_admits_are_warned_of() {
    let chain = |limit| {
        let mut upper = ca_params("Upper");
        upper.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
        let key = new_key(Algorithm::EcdsaP256);
        let upper_pem = {
            let root_key = new_key(Algorithm::EcdsaP256);
            let root = Issuer::new(ca_params("Root"), root_key);
            upper.signed_by(&key, &root).unwrap().pem()
        };
        let upper = Issuer::new(upper, key);
        let (lower, key) = (ca_params("Lower"), new_key(Algorithm::EcdsaP256));
        let lower_pem = lower.signed_by(&key, &upper).unwrap().pem();
        let lower = Issuer::new(lower, key);
        let key = new_key(Algorithm::EcdsaP256);
        let leaf = server(&[dns("api.test")]).signed_by(&key, &lower).unwrap();
        let cert = format!("{}{lower_pem}{upper_pem}", leaf.pem());
        warning(&Pair {
            cert,
            key: key.serialize_pem(),
        })
    };
    assert_eq!(chain(1), "");
    let said = chain(0);
    let expected = "PEM block 3 (line ";
    assert!(said.contains(expected), "{said}");
    let expected = "\"CN=Upper\", may have 0 CAs between it and the certificate of a server or client (pathlen), and here are 1";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn names_that_no_client_connects_to_are_warned_of() {
    let email = || SanType::Rfc822Name("me@a.test".try_into().unwrap());
    let leaf = |names: &[SanType]| warning(&pki().issue(&server(names)));
    for names in [
        vec![dns("127.0.0.1"), dns("api.test")],
        vec![email(), SanType::IpAddress([127, 0, 0, 1].into())],
        vec![uri("spiffe://a.test/b")],
        vec![dns("*.a.test")],
    ] {
        assert_eq!(leaf(&names), "");
    }
    for (names, said) in [
        (vec![dns("127.0.0.1")], "(DNS 127.0.0.1)"),
        (vec![email()], "(email me@a.test)"),
        (
            vec![
                dns("https://a.test"),
                dns("a.test:8443"),
                dns("*"),
                dns("a.*.b"),
            ],
            "(DNS https://a.test, DNS a.test:8443, DNS *, …)",
        ),
    ] {
        let found = leaf(&names);
        assert!(
            found.contains("has no name that a client can connect to"),
            "{found}"
        );
        assert!(found.contains(said), "{found}");
    }
}
