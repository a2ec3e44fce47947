//! Kinds of recipients, by the type of their stanza and by the prefix of their text, and what a quantum computer
//! gains from one (c2sp.org/age; `piv-p256` is age-plugin-yubikey's).

/// The type of the stanza of those that files are sealed for here, and the end of its label.
pub(super) const KIND: &str = "mlkem768x25519";

/// Whether a quantum computer opens a file through a recipient; of several recipients the greatest counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Resistance {
    /// Not through this one.
    PostQuantum,
    /// Nothing is known of its kind. A passphrase (`scrypt`) is as good as it is long, and a stanza that is there only
    /// to keep readers tolerant (`…-grease`) may be anything.
    NotKnown,
    /// It does.
    Classical,
}

/// Of a stanza's type.
pub(super) fn of_stanza(kind: &str) -> Resistance {
    match kind {
        KIND | "mlkem768p256tag" => Resistance::PostQuantum,
        "X25519" | "p256tag" | "piv-p256" | "ssh-ed25519" | "ssh-rsa" => Resistance::Classical,
        _ => Resistance::NotKnown,
    }
}

/// Of a recipient's text in lower case; `None`: it is not of the form of one.
pub(super) fn of_text(lower: &str) -> Option<Resistance> {
    if lower.starts_with("ssh-ed25519") || lower.starts_with("ssh-rsa") {
        return Some(Resistance::Classical);
    }
    // The data of Bech32 has no 1.
    match lower.rsplit_once('1')?.0 {
        "age" | "age1tag" | "age1yubikey" | "age1se" => Some(Resistance::Classical),
        "age1pq" | "age1tagpq" => Some(Resistance::PostQuantum),
        prefix => prefix.starts_with("age1").then_some(Resistance::NotKnown),
    }
}
