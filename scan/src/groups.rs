//! The groups that a scan offers: those that TLS servers are known to accept, whether hybridge serves
//! them or not (IANA registry "TLS Supported Groups").

use rustls::crypto::SupportedKxGroup;
use serde::Serialize;

/// A group that a handshake can be made with, by its name.
pub type Known = (&'static str, &'static dyn SupportedKxGroup);

/// What a group protects against.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// ML-KEM beside an elliptic curve: both must be broken.
    Hybrid,
    /// Pure ML-KEM.
    PostQuantum,
    /// Broken by a quantum computer.
    Classical,
}

/// A group by its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Group {
    /// The number on the wire.
    pub number: u16,
    /// IANA's name; of X25519 as the metrics and the settings write it.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
}

const fn group(number: u16, name: &'static str, kind: Kind) -> Group {
    Group { number, name, kind }
}

/// Every group that is offered: classical ones last, so that a server that follows its client's order
/// shows what it holds against them only in a question of its own.
pub const ALL: [Group; 29] = [
    group(0x11ec, "X25519MLKEM768", Kind::Hybrid),
    group(0x11eb, "SecP256r1MLKEM768", Kind::Hybrid),
    group(0x11ed, "SecP384r1MLKEM1024", Kind::Hybrid),
    group(0x11ee, "curveSM2MLKEM768", Kind::Hybrid),
    group(KYBER_DRAFT, "X25519Kyber768Draft00", Kind::Hybrid),
    group(0x0200, "MLKEM512", Kind::PostQuantum),
    group(0x0201, "MLKEM768", Kind::PostQuantum),
    group(0x0202, "MLKEM1024", Kind::PostQuantum),
    group(X25519, "X25519", Kind::Classical),
    group(SECP256R1, "secp256r1", Kind::Classical),
    group(0x001e, "x448", Kind::Classical),
    group(SECP384R1, "secp384r1", Kind::Classical),
    group(SECP521R1, "secp521r1", Kind::Classical),
    group(0x001f, "brainpoolP256r1tls13", Kind::Classical),
    group(0x0020, "brainpoolP384r1tls13", Kind::Classical),
    group(0x0021, "brainpoolP512r1tls13", Kind::Classical),
    group(0x0022, "GC256A", Kind::Classical),
    group(0x0023, "GC256B", Kind::Classical),
    group(0x0024, "GC256C", Kind::Classical),
    group(0x0025, "GC256D", Kind::Classical),
    group(0x0026, "GC512A", Kind::Classical),
    group(0x0027, "GC512B", Kind::Classical),
    group(0x0028, "GC512C", Kind::Classical),
    group(0x0029, "curveSM2", Kind::Classical),
    group(0x0100, "ffdhe2048", Kind::Classical),
    group(0x0101, "ffdhe3072", Kind::Classical),
    group(0x0102, "ffdhe4096", Kind::Classical),
    group(0x0103, "ffdhe6144", Kind::Classical),
    group(0x0104, "ffdhe8192", Kind::Classical),
];

/// A draft of X25519MLKEM768, of which no client speaks any more.
pub const KYBER_DRAFT: u16 = 0x6399;
/// The number of X25519.
pub const X25519: u16 = 0x001d;
/// The number of secp256r1.
pub const SECP256R1: u16 = 0x0017;
/// The number of secp384r1.
pub const SECP384R1: u16 = 0x0018;
/// The number of secp521r1.
pub const SECP521R1: u16 = 0x0019;

impl Group {
    /// The group of this number, if it is known.
    pub fn of(number: u16) -> Option<Self> {
        ALL.into_iter().find(|group| group.number == number)
    }
}

/// The numbers of all of them.
pub fn numbers() -> Vec<u16> {
    ALL.iter().map(|group| group.number).collect()
}

/// What a hello of TLS 1.2 or older lists: the classical groups, and curves that TLS 1.3 left out.
pub fn before_13() -> Vec<u16> {
    let classical = ALL.iter().filter(|group| group.kind == Kind::Classical);
    let numbers = classical.map(|group| group.number);
    numbers.chain(0x01..=0x16).chain(0x1a..=0x1c).collect()
}

/// Whether it is a hybrid that clients offer: the draft is none.
pub fn is_hybrid(number: u16) -> bool {
    kind(number) == Kind::Hybrid && number != KYBER_DRAFT
}

/// Whether a quantum computer cannot undo it, and clients offer it.
pub fn is_protected(number: u16) -> bool {
    is_hybrid(number) || kind(number) == Kind::PostQuantum
}

/// The name, or the number in hex.
pub fn name(number: u16) -> String {
    Group::of(number).map_or_else(|| format!("{number:#06x}"), |group| group.name.to_owned())
}

/// The kind of a group; one that is not known counts as classical.
pub fn kind(number: u16) -> Kind {
    Group::of(number).map_or(Kind::Classical, |group| group.kind)
}

/// A group's name as [`ALL`] writes it, whatever the case of its letters.
pub fn as_listed(name: &str) -> String {
    let known = ALL.iter().map(|group| group.name);
    let mut same = known.filter(|known| known.eq_ignore_ascii_case(name));
    same.next().unwrap_or(name).to_owned()
}
