//! A server of its own rules, and what is made of its answers.

use std::cell::Cell;

use super::*;

/// A server with groups of its own.
pub(super) fn server(
    groups: &'static [u16],
    by_client: bool,
) -> impl Fn(&[u16], Option<u16>) -> Answer {
    move |offered, share| {
        let first = |order: &[u16], other: &[u16]| {
            order.iter().copied().find(|group| other.contains(group))
        };
        let group = if by_client {
            first(offered, groups)
        } else {
            first(groups, offered)
        };
        match group {
            None => Answer::Alert(40),
            Some(group) if share == Some(group) => Answer::ServerHello {
                version: TLS13,
                group: Some(group),
            },
            Some(group) => Answer::Retry { group: Some(group) },
        }
    }
}

pub(super) const ALL: [u16; 5] = [0x11ec, 0x11ed, 0x1d, 0x17, 0x18];

#[test]
fn the_groups_come_in_the_servers_order_and_end_with_an_alert() {
    let ask = server(&[0x1d, 0x11ec], false);
    let (accepted, last) = enumerate(&ALL, |left| ask(left, None));
    assert_eq!(
        (&accepted[..], last),
        (&[0x1d, 0x11ec][..], Answer::Alert(40))
    );
}

#[test]
fn a_server_that_names_what_was_not_offered_does_not_loop() {
    let (accepted, last) = enumerate(&ALL, |_| Answer::Retry { group: Some(0x99) });
    assert_eq!((accepted.len(), last.group()), (0, Some(0x99)));
}

/// A question is asked twice at most, and what came of it is what both times have in common.
#[test]
fn what_got_no_answer_is_asked_again() {
    let (alert, closed, silent) = (Answer::Alert(40), Answer::Closed, Answer::Silent);
    for (answers, expected, asked) in [
        ([alert, closed], alert, 1),
        ([closed, alert], alert, 2),
        ([silent, alert], alert, 2),
        ([closed, closed], closed, 2),
        ([closed, silent], silent, 2),
        ([silent, closed], silent, 2),
        ([silent, Answer::Http], Answer::Http, 2),
    ] {
        let count = Cell::new(0);
        let ask = || answers[count.replace(count.get() + 1)];
        assert_eq!((again(ask), count.get()), (expected, asked), "{answers:?}");
    }
}

#[test]
fn silence_refuses_nothing() {
    let hello = |version| Answer::ServerHello {
        version,
        group: None,
    };
    for (last, without, beside) in [
        (Answer::Alert(40), true, true),
        (Answer::Alert(80), false, false),
        (hello(TLS12), true, true),
        (hello(TLS13), false, false),
        (Answer::Closed, true, false),
        (Answer::Silent, false, false),
    ] {
        assert_eq!(refuses_the_rest(last, &[]), without, "{last:?}");
        assert_eq!(refuses_the_rest(last, &[0x11ec]), beside, "{last:?}");
    }
}

/// Only a refusal of the version or of all suites says that nothing older is accepted.
#[test]
fn an_alert_with_another_reason_leaves_a_version_unanswered() {
    let old = |answer| versions(false, |_, _| answer);
    for alert in [40, 70, 71] {
        let refused = (vec!["1.3"], Vec::new());
        assert_eq!(old(Answer::Alert(alert)), refused, "{alert}");
    }
    for answer in [
        Answer::Alert(0),
        Answer::Alert(80),
        Answer::Alert(112),
        Answer::Closed,
        Answer::Silent,
        Answer::NotTls,
    ] {
        let unanswered = (vec!["1.3"], vec!["1.2", "1.1", "1.0"]);
        assert_eq!(old(answer), unanswered, "{answer:?}");
    }
}
