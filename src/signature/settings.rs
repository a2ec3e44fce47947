//! What a listener demands of signatures.

use std::path::PathBuf;
use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantNames};

/// What becomes of requests whose signatures do not verify.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum SignatureMode {
    /// Nothing is verified.
    #[default]
    Off,
    /// They are forwarded, and the app is told.
    Verify,
    /// They are refused.
    Require,
}

/// What a signature rests on.
#[derive(Clone, Copy, Debug, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum SignatureKind {
    /// Ed25519 or ECDSA P-256.
    Classical,
    /// ML-DSA of any size.
    MlDsa,
}

/// What a listener demands of signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Refuse, or tell the app.
    pub mode: SignatureMode,
    /// The file with the JWK set.
    pub keys: PathBuf,
    /// A signature of each of these.
    pub require: Vec<SignatureKind>,
    /// The components that each signature must cover.
    pub cover: Vec<String>,
    /// How old a signature may be.
    pub max_age: Duration,
    /// How far a client's clock may be ahead.
    pub skew: Duration,
    /// Signatures that are remembered.
    pub replay_table: usize,
}

impl Settings {
    /// How long a signature is remembered at least. Ages are compared in whole seconds, so that one
    /// is fresh for up to a second more.
    pub(super) fn period(&self) -> Duration {
        self.max_age + self.skew + Duration::from_secs(1)
    }

    /// Signatures that are remembered of one period; one more is refused.
    pub fn of_a_period(&self) -> usize {
        (self.replay_table / 2).max(1)
    }

    /// What of a period's signatures may be of one principal.
    pub(super) fn share(&self, principals: usize) -> Share {
        let all = self.of_a_period();
        Share {
            most: if principals > 1 {
                (all / 2).max(1)
            } else {
                all
            },
            own: (all / principals.max(1)).max(1),
        }
    }

    /// Requests a second that the table has room for, beside listeners with `others`: what one of them has
    /// accepted is remembered for as long as it is fresh at any.
    pub fn rate<'a>(&self, others: impl Iterator<Item = &'a Self>) -> f64 {
        let longest = others.map(Self::period).max().unwrap_or_default();
        let entries = u32::try_from(self.of_a_period()).unwrap_or(u32::MAX);
        f64::from(entries) / self.period().max(longest).as_secs_f64()
    }
}

/// What one of several principals may take of the replay table in a period.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Share {
    /// While there is room.
    pub most: usize,
    /// Whatever the others took, before a reload too when they were fewer.
    pub own: usize,
}

/// What responses are signed with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseSettings {
    /// A directory with `ec.key` and `mldsa.key`.
    pub keys: PathBuf,
    /// The signature of the model that is served, whose digest receipts repeat.
    pub model: Option<PathBuf>,
    /// Whether streams of events end with a comment that has the signatures, instead of trailers.
    pub sse_comment: bool,
}
