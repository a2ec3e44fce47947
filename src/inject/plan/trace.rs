//! What a plan says besides its operations: warnings for the user, and each step with its reason. None
//! repeats what may be a key.

use crate::redact::scrub;

/// One step of an injection and why it was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What was done.
    pub what: String,
    /// Why.
    pub why: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) steps: Vec<Step>,
    pub(crate) warnings: Vec<String>,
}

impl Trace {
    pub(crate) fn step(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.steps.push(Step {
            what: scrub(&what.into()).into_owned(),
            why: scrub(&why.into()).into_owned(),
        });
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(scrub(&text.into()).into_owned());
    }
}
