//! The table is consistent.

use super::*;
use crate::tls::policy::Mode;

#[test]
fn paths_and_flags_are_unique() {
    for (index, key) in Key::ALL.iter().enumerate() {
        let rest = &Key::ALL[index + 1..];
        assert!(
            rest.iter().all(|other| other.path() != key.path()),
            "{key:?}"
        );
        assert!(
            rest.iter().all(|other| other.flag() != key.flag()),
            "{key:?}"
        );
    }
}

#[test]
fn the_policies_of_the_table_are_those_of_tls() {
    let ValueType::Choice(words) = Key::Policy.value_type() else {
        panic!("{:?}", Key::Policy.value_type());
    };
    assert_eq!(words, Mode::ALL.map(Mode::name));
}

#[test]
fn the_queue_of_spans_has_the_default_that_others_reckon_with() {
    let default = crate::traces::DEFAULT_QUEUE.to_string();
    assert!(matches!(Key::TracesQueue.default(), Fixed(text) if text == default));
}
