//! "Did you mean …?": the one rule by which a message suggests a known name, with its threshold.
//! A suggestion that misleads is worse than none, so what is far from every name gets none.

use std::cmp::Reverse;

/// Edits that are allowed at most.
const MOST_EDITS: usize = 3;

/// Names used elsewhere, each with the name it has here. Spelling as [`normalised`].
pub(crate) type Aliases = &'static [(&'static str, &'static str)];

/// The candidate that `given` most likely stands for, if one is close enough.
///
/// Letter case aside, `_` counts as `-`. The distance is that of Damerau and Levenshtein: a swap of
/// two neighbours is one edit.
pub(crate) fn suggest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = normalised(given);
    let length = given.chars().count();
    candidates
        .into_iter()
        // A long text is not compared: each character too many is an edit.
        .filter(|name| name.chars().count().abs_diff(length) <= MOST_EDITS)
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&given, &normalised(name));
            (distance, name)
        })
        .filter(|(distance, name)| *distance <= allowed(&given, name))
        .filter(|(_, name)| same_words(&given, &normalised(name)))
        // Of two as near the one that begins alike: people read names from the front.
        .min_by_key(|(distance, name)| {
            let name = normalised(name);
            let alike = given.chars().zip(name.chars()).take_while(|(a, b)| a == b);
            (*distance, Reverse(alike.count()))
        })
        .map(|(_, name)| name)
}

/// The same, with names used elsewhere looked up first.
pub(crate) fn suggest_or_alias<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    aliases: Aliases,
) -> Option<&'a str> {
    let word = normalised(given);
    let alias = aliases.iter().find(|(other, _)| *other == word);
    match alias {
        Some((_, name)) => Some(name),
        None => suggest(given, candidates),
    }
}

/// The same among a few, of which an alias must stand for one.
pub(crate) fn suggest_among<'a>(
    given: &str,
    candidates: &[&'a str],
    aliases: impl IntoIterator<Item = &'static (&'static str, &'static str)>,
) -> Option<&'a str> {
    let word = normalised(given);
    let meant = aliases.into_iter().filter(|(other, _)| *other == word);
    let of = |name: &str| candidates.iter().copied().find(|known| *known == name);
    let mut meant = meant.filter_map(|(_, name)| of(name));
    meant
        .next()
        .or_else(|| suggest(given, candidates.iter().copied()))
}

/// Continues a message that names what was written.
pub(crate) fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |word| format!(": did you mean `{word}`?"))
}

/// Edits beyond which a short word would be another word.
fn allowed(given: &str, name: &str) -> usize {
    match given.chars().count().min(name.chars().count()) {
        0..=2 => 0,
        3..=5 => 1,
        6..=10 => 2,
        _ => MOST_EDITS,
    }
}

/// Whether no word is another one: `egress-host` is two letters of `egress-cert` and no slip of the finger. Digits
/// and a word more or less are left to the distance of the whole.
fn same_words(given: &str, name: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split('-');
        words
            .map(|word| word.replace(|c: char| c.is_ascii_digit(), ""))
            .collect()
    };
    let (given, name) = (words(given), words(name));
    let close =
        |(a, b): (&String, &String)| strsim::damerau_levenshtein(a, b) <= allowed(a, b).max(1);
    given.len() != name.len() || given.iter().zip(&name).all(close)
}

fn normalised(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: [&str; 3] = ["hybrid-preferred", "hybrid-required", "classical-only"];

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        for (given, candidates, expected) in [
            ("polcy", &["groups", "policy", "cert"][..], "policy"),
            ("htp", &["http", "tcp"], "http"),
            ("tpc", &["http", "tcp"], "tcp"),
            ("infoo", &["error", "info"], "info"),
            ("Hybrid_Prefered", &POLICIES, "hybrid-preferred"),
            ("upstraem", &["listen", "upstream"], "upstream"),
            ("EGRESS_CRET", &["egress-cert"], "egress-cert"),
            ("alow-pi", &["allow-cn", "allow-ip"], "allow-ip"),
            (
                "TLS_AES_256_GCM_SHA256",
                &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
                "TLS_AES_256_GCM_SHA384",
            ),
        ] {
            let found = suggest(given, candidates.iter().copied());
            assert_eq!(found, Some(expected), "{given}");
        }
    }

    #[test]
    fn what_is_far_from_every_word_gets_no_suggestion() {
        for (given, candidates) in [
            ("banana", &POLICIES[..]),
            ("egress-host", &["egress-cert"]),
            ("egress-mode", &["egress-name"]),
            ("client-cert", &["client-crl"]),
            ("upstream-host", &["upstream-http"]),
            ("hybrid", &POLICIES),
            ("grpc", &["http", "tcp"]),
            ("udp", &["http", "tcp"]),
            ("xml", &["text", "json"]),
            ("x", &["on", "a"]),
            ("", &["http", "tcp"]),
            ("anything", &[]),
        ] {
            assert_eq!(suggest(given, candidates.iter().copied()), None, "{given}");
        }
    }

    #[test]
    fn a_name_used_elsewhere_is_looked_up_before_likeness() {
        let aliases: Aliases = &[("grpc", "http"), ("raw-bytes", "tcp")];
        let found = |given| suggest_or_alias(given, ["http", "tcp"], aliases);
        assert_eq!(found("gRPC"), Some("http"));
        assert_eq!(found("RAW_BYTES"), Some("tcp"));
        assert_eq!(found("tpc"), Some("tcp"));
        assert_eq!(found("carrier-pigeon"), None);
        let among = |given, known: &[&'static str]| suggest_among(given, known, aliases);
        assert_eq!(among("gRPC", &["http", "tcp"]), Some("http"));
        assert_eq!(among("gRPC", &["tcp"]), None);
        assert_eq!(among("tpc", &["tcp"]), Some("tcp"));
        assert_eq!(did_you_mean(found("grpc")), ": did you mean `http`?");
        assert_eq!(did_you_mean(None), "");
    }
}
