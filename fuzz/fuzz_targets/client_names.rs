//! A rule admits a name only where a comparison written in another way does too, and a certificate is read or nobody's:
//! never with a panic, and never with a name that could write more into a log than itself.
#![no_main]

use hybridge::tls::identity::{PeerIdentity, Rules};
use libfuzzer_sys::fuzz_target;

// A certificate; or a rule and a name with a zero byte between.
fuzz_target!(|data: &[u8]| {
    if let Some(peer) = PeerIdentity::of(data) {
        names(&peer);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some((rule, name)) = text.split_once('\0') {
        uri(rule, name);
        dns(rule, name);
    }
});

fn names(peer: &PeerIdentity) {
    for name in peer.uris.iter().chain(&peer.dns) {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    let common_name = peer.common_name.as_deref().unwrap_or_default();
    assert!(!common_name.contains(char::is_control), "{common_name:?}");
    let shown = peer.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    if let Some(id) = peer.spiffe_id() {
        assert_eq!(peer.uris, [id]);
        assert!(!peer.uri_left_out);
    }
    // Its own names as rules.
    let several = peer.uris.len() > 1
        && peer.uris.iter().any(|uri| {
            uri.get(..9)
                .is_some_and(|start| start.eq_ignore_ascii_case("spiffe://"))
        });
    for name in &peer.uris {
        let mut rules = Rules::default();
        if !name.contains('*') && rules.add_uri(name).is_ok() {
            assert_eq!(
                rules.allow(peer),
                !several && !peer.uri_left_out,
                "{name:?}"
            );
        }
    }
}

/// Component by component of the whole text, where the rule is compared part by part.
fn uri(rule: &str, name: &str) {
    let mut rules = Rules::default();
    if rules.add_uri(rule).is_err() {
        return;
    }
    let allowed = rules.allow(&PeerIdentity {
        uris: vec![name.to_owned()],
        ..PeerIdentity::default()
    });
    let (mut wanted, parts): (Vec<&str>, Vec<&str>) =
        (rule.split('/').collect(), name.split('/').collect());
    let deeper = wanted.last() == Some(&"**");
    if deeper {
        wanted.pop();
    }
    let long_enough = if deeper {
        parts.len() > wanted.len()
    } else {
        parts.len() == wanted.len()
    };
    let alike = long_enough
        && wanted
            .iter()
            .zip(&parts)
            .all(|(rule, part)| rule == part || *rule == "*");
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"%?#\\".contains(&byte));
    let start = name.find("://").map_or(name.len(), |at| at + 3);
    let comparable = name[start..]
        .split('/')
        .skip(1)
        .all(|part| !matches!(part, "" | "." | ".."));
    assert_eq!(allowed, alike && plain && comparable, "{rule:?} {name:?}");
}

fn dns(rule: &str, name: &str) {
    let mut rules = Rules::default();
    if rules.add_dns(rule).is_err() {
        return;
    }
    let allowed = rules.allow(&PeerIdentity {
        dns: vec![name.to_owned()],
        ..PeerIdentity::default()
    });
    let (rule, name) = (rule.to_ascii_lowercase(), name.to_ascii_lowercase());
    let expected = match rule.strip_prefix('*') {
        None => name == rule,
        Some(end) => name.strip_suffix(end).is_some_and(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        }),
    };
    assert_eq!(allowed, expected, "{rule:?} {name:?}");
}
