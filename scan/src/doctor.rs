//! Whether an endpoint, and the middleboxes in front of it, take ClientHellos that are large or come in pieces: a
//! hybrid hello no longer fits into one segment, and some middleboxes decide on their first read.

use std::time::Duration;

use serde::Serialize;

use crate::answer::Answer;
use crate::dial::Dial;
use crate::groups;
use crate::hello::{Hello, TLS13, records};
use crate::target::Target;

/// Between two segments: longer than a middlebox's first read, shorter than anybody's patience.
const PAUSE: Duration = Duration::from_millis(30);

/// One way to send a hello, and what came back.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// How the hello was sent.
    pub sent: &'static str,
    /// Whether the server answered as TLS.
    pub passed: bool,
    /// The answer.
    pub answer: Answer,
}

/// All of them, and what follows from them.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    /// Every trial.
    pub trials: Vec<Trial>,
    /// What to do.
    pub verdict: &'static str,
}

/// Eleven connections.
pub fn examine(target: &Target, dial: Dial, accepted: &[u16]) -> Doctor {
    let name = target.server_name();
    let all = groups::numbers();
    let hello = |padding: Option<u16>, share| Hello {
        name,
        version: TLS13,
        groups: &all,
        share,
        padding,
    };
    // As long as a hello with an ML-KEM-768 share.
    let (usual, large) = (Some(1_216), Some(groups::X25519));
    let message = |padding| hello(padding, large).message().unwrap_or_default();
    let whole = |padding| records(&message(padding), usize::MAX);
    let cut = |bytes: Vec<u8>, at: usize| {
        let at = at.min(bytes.len());
        vec![bytes[..at].to_vec(), bytes[at..].to_vec()]
    };
    let hello_of = whole(usual);
    let half = hello_of.len() / 2;
    let trials = [
        ("whole", vec![hello_of.clone()]),
        ("in two segments", cut(hello_of.clone(), half)),
        ("cut after 1 byte", cut(hello_of.clone(), 1)),
        ("cut after 5 bytes", cut(hello_of.clone(), 5)),
        (
            "in segments of 100 bytes",
            hello_of.chunks(100).map(<[u8]>::to_vec).collect(),
        ),
        (
            "in two records, one write",
            vec![records(&message(usual), message(usual).len() / 2 + 1)],
        ),
        ("in records of 64 bytes", vec![records(&message(usual), 64)]),
        ("of 4 KiB", vec![whole(Some(3_700))]),
        ("of 16 KiB", vec![whole(Some(15_500))]),
        ("small", vec![whole(None)]),
    ];
    let mut trials: Vec<Trial> = trials
        .into_iter()
        .map(|(sent, pieces)| trial(sent, dial.ask_pieces(&pieces, PAUSE)))
        .collect();
    // A hello that is refused only because of how it was sent has not passed.
    let small = trials.last().map_or(0, |trial| outcome(trial.answer));
    for trial in &mut trials {
        trial.passed &= outcome(trial.answer) >= small;
    }
    // Small, and hybrid all the same: the group is listed and no share is sent.
    let retry = dial.ask(&hello(None, None));
    trials.push(trial("small, hybrid without a share", retry));
    let verdict = verdict(&trials, retry, accepted);
    Doctor { trials, verdict }
}

fn trial(sent: &'static str, answer: Answer) -> Trial {
    Trial {
        sent,
        passed: answer.is_tls(),
        answer,
    }
}

/// Whether the server goes on with a hello, refuses it, or does neither.
fn outcome(answer: Answer) -> u8 {
    match answer {
        Answer::ServerHello { .. } | Answer::Retry { .. } => 2,
        Answer::Alert(_) => 1,
        _ => 0,
    }
}

fn verdict(trials: &[Trial], retry: Answer, accepted: &[u16]) -> &'static str {
    let passed = |sent: &str| {
        trials
            .iter()
            .any(|trial| trial.sent == sent && trial.passed)
    };
    let is_hybrid = |group: &u16| groups::is_hybrid(*group);
    let small_works = matches!(retry, Answer::Retry { group: Some(group) } if is_hybrid(&group));
    if trials.iter().all(|trial| trial.passed) {
        "every hello arrives: hybrid key shares will too"
    } else if !passed("whole") && small_works {
        "large hellos do not arrive, and the HelloRetryRequest path works: let clients list a hybrid group without a share, or mend the middlebox"
    } else if !passed("whole") {
        "large hellos do not arrive: mend or bypass the middlebox before clients send hybrid key shares"
    } else if !passed("in two segments") && accepted.iter().any(is_hybrid) && small_works {
        "hellos in several segments do not arrive, as a hybrid hello is on many paths: let clients list a hybrid group without a share (the HelloRetryRequest path works), or mend the middlebox"
    } else if !passed("in two segments") {
        "hellos in several segments do not arrive, as a hybrid hello is on many paths: mend or bypass the middlebox that decides on its first read"
    } else {
        "the usual hybrid hello arrives; what failed is unusual, see the list"
    }
}
