//! Questions to a target before a run, and how long their answers are waited for.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::target::Resolved;
use crate::terminal::say;

/// A model may have to be loaded before its first token.
const PATIENCE: Duration = Duration::from_secs(30);
/// After which it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(3);
/// A target that leaves so many questions without an answer is asked nothing more.
const MOST_UNANSWERED: u32 = 2;

/// A target that is asked, and how often it has not answered.
pub(super) struct Asked<'a> {
    pub(super) target: &'a Resolved,
    /// Before it is said that it is waited, and in all.
    patience: [Duration; 2],
    unanswered: AtomicU32,
}

impl<'a> Asked<'a> {
    pub(super) fn new(target: &'a Resolved) -> Self {
        Self {
            target,
            patience: [SILENCE, PATIENCE],
            unanswered: AtomicU32::new(0),
        }
    }

    /// The answer to one question, for which a person is told that it is waited.
    pub(super) async fn answer<T>(
        &self,
        question: &str,
        answer: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        if self.unanswered.load(Ordering::Relaxed) >= MOST_UNANSWERED {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let [silence, patience] = self.patience;
        let mut answer = pin!(answer);
        if let Ok(answered) = timeout(silence, &mut answer).await {
            return answered;
        }
        let name = &self.target.plan.name;
        say(&format!(
            "target {name} has not answered {question} for {} s; waiting up to {} s",
            silence.as_secs(),
            patience.as_secs()
        ));
        if let Ok(answered) = timeout(patience.saturating_sub(silence), answer).await {
            return answered;
        }
        if self.unanswered.fetch_add(1, Ordering::Relaxed) + 1 == MOST_UNANSWERED {
            say(&format!("target {name} is asked nothing more"));
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::{pending, ready};

    use super::super::target::resolve;
    use super::*;
    use crate::plan::{Role, Target};

    #[tokio::test]
    async fn a_silent_target_is_asked_twice() {
        let plan = Target::new("a", "http://127.0.0.1:1".into(), Role::Subject, Vec::new());
        let target = resolve(&plan).unwrap();
        let mut asked = Asked::new(&target);
        asked.patience = [Duration::from_millis(1), Duration::from_millis(20)];
        assert_eq!(asked.answer("a", ready(Ok(7))).await.unwrap(), 7);
        for _ in 0..MOST_UNANSWERED {
            let silent = asked.answer("a", pending::<io::Result<u8>>()).await;
            assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        // Not even a question that would be answered.
        let refused = asked.answer("a", ready(Ok(7))).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
