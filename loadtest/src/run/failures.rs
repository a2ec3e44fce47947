//! Targets that fail within a run: what is missing of them stands at the top of the report, and the others go on as long
//! as there is a subject and a baseline. Whatever is no fault of a single target ends the run.

use super::target::Resolved;
use crate::error::{Error, Result};
use crate::plan::{Case, Role};

/// What failed so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Targets that failed since they last answered.
    suspects: Vec<usize>,
    told: Vec<String>,
}

impl Failures {
    /// A block that could not be measured: what the report says of it, or the error that ends the run.
    pub(super) fn of_block(
        &mut self,
        (index, target): (usize, &Resolved),
        case: &Case,
        pair: u32,
        error: Error,
    ) -> Result<String> {
        if !error.is_of_target() {
            return Err(error);
        }
        self.suspects.push(index);
        let told = format!(
            "{} is missing from round {} of \"{}\" on: {error}",
            target.plan.name,
            pair + 1,
            case.title()
        );
        self.told.push(told.clone());
        Ok(told)
    }

    /// A case that could not be begun: likewise.
    pub(super) fn of_case(&mut self, case: &Case, error: Error) -> Result<String> {
        if !error.is_of_target() {
            return Err(error);
        }
        let told = format!("\"{}\" was left out: {error}", case.title());
        self.told.push(told.clone());
        Ok(told)
    }

    /// Takes those that failed before and do not answer now out of a case, none where no pair would be left; why.
    pub(super) async fn sift(
        &mut self,
        members: &mut Vec<usize>,
        targets: &[Resolved],
        case: &Case,
    ) -> Vec<String> {
        let mut skipped = Vec::new();
        for index in members.clone() {
            if !self.suspects.contains(&index) {
                continue;
            }
            let target = &targets[index];
            match target.probe_handshake().await {
                Ok(()) => self.suspects.retain(|suspect| *suspect != index),
                Err(error) => {
                    let (title, name) = (case.title(), &target.plan.name);
                    skipped.push(format!("{title}: {name}, which had failed before: {error}"));
                    members.retain(|member| *member != index);
                }
            }
        }
        if !skipped.is_empty() && !is_paired(members.iter().map(|index| &targets[*index])) {
            members.clear();
            skipped.push(format!(
                "{}: no pair of targets was left for it",
                case.title()
            ));
        }
        skipped
    }

    /// The run's end: an error where a target failed, with all failures where no report has them.
    pub(super) fn end(self, is_reported: bool) -> Result<()> {
        if !is_reported && !self.told.is_empty() {
            return Err(Error::Incomplete(self.told.join("\n")));
        }
        let count = self.told.len();
        match self.told.into_iter().next() {
            None => Ok(()),
            Some(first) if count == 1 => Err(Error::Incomplete(first)),
            Some(first) => Err(Error::Incomplete(format!(
                "{first} (the first of {count} failures of targets; the report has them all)"
            ))),
        }
    }
}

/// Whether these still make a pair.
pub(super) fn is_paired<'a>(targets: impl Iterator<Item = &'a Resolved>) -> bool {
    let roles: Vec<Role> = targets.map(|target| target.plan.role).collect();
    roles.contains(&Role::Subject) && roles.contains(&Role::Baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_report_ends_with_every_failure() {
        let ended = |told: &[&str], is_reported| {
            let told = told.iter().map(|one| (*one).to_owned()).collect();
            let failures = Failures {
                told,
                ..Failures::default()
            };
            failures.end(is_reported).map_err(|error| error.to_string())
        };
        let of_all = "a (the first of 2 failures of targets; the report has them all)";
        assert_eq!(ended(&["a", "b"], true), Err(of_all.to_owned()));
        assert_eq!(ended(&["a", "b"], false), Err("a\nb".to_owned()));
        assert_eq!(ended(&["a"], false), Err("a".to_owned()));
        assert_eq!(ended(&[], false), Ok(()));
    }
}
