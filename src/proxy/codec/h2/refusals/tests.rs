#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};

use super::super::frame::{ACK, SETTINGS};
use super::*;

fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, 0]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn refusals() -> (Refusals, Arc<Mutex<Vec<Refused>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let mut refusals = Refusals::new(move |refused| tell.lock().unwrap().push(refused));
    refusals.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    (refusals, told)
}

/// Data, a reset of an accepted stream, one of a malformed request, and one for another reason.
fn wire() -> Vec<u8> {
    [
        frame(0, 1, &[3; 40]),
        frame(RST_STREAM, 1, &PROTOCOL_ERROR),
        frame(RST_STREAM, 3, &PROTOCOL_ERROR),
        frame(RST_STREAM, 3, &[0, 0, 0, 8]),
        frame(6, 0, &[0; 8]),
    ]
    .concat()
}

#[test]
fn a_malformed_request_gets_a_response_and_no_other_stream_does() {
    let (mut refusals, told) = refusals();
    assert!(refusals.accepted(1) && refusals.accepted(5));
    assert!(refusals.wants_more(&wire()));
    let mut out = BytesMut::new();
    refusals.copy(&wire(), &mut out);
    let mut response = frame(HEADERS, 3, BAD_REQUEST);
    response[4] = WHOLE;
    let wire = wire();
    let (before, after) = wire.split_at(49 + 13);
    assert_eq!(out, [before, &response, after].concat());
    assert_eq!(*told.lock().unwrap(), [Refused::Malformed]);
    assert!(!refusals.accepted(3), "given to us later");
}

#[test]
fn nothing_is_put_where_the_table_may_have_another_size() {
    let acknowledgement = {
        let mut frame = frame(SETTINGS, 0, &[]);
        frame[4] = ACK;
        frame
    };
    let (mut refusals, told) = refusals();
    let mut out = BytesMut::new();
    refusals.copy(&acknowledgement, &mut out);
    refusals.copy(&acknowledgement, &mut out);
    out.clear();
    refusals.copy(&wire(), &mut out);
    assert_eq!(out, wire());
    assert_eq!(*told.lock().unwrap(), [Refused::Malformed; 2]);
}

#[test]
fn a_reset_behind_the_response_of_the_crate_is_no_error() {
    let (mut refusals, told) = refusals();
    let head = frame(HEADERS, 1, b"431");
    let reset = |code: &[u8]| frame(RST_STREAM, 1, code);
    let mut out = BytesMut::new();
    refusals.copy(&[head.clone(), reset(&PROTOCOL_ERROR)].concat(), &mut out);
    assert_eq!(out, [head.clone(), reset(&NO_ERROR)].concat());
    let mut apart = BytesMut::new();
    let (mut refusals, _) = self::refusals();
    refusals.copy(&head, &mut apart);
    refusals.copy(&reset(&PROTOCOL_ERROR), &mut apart);
    assert_eq!(apart, out);
    assert_eq!(*told.lock().unwrap(), [Refused::HeadTooLarge]);
}

#[test]
fn frames_are_found_however_they_leave() {
    let head = frame(HEADERS, 7, b"431");
    let wire = [wire(), head, wire()].concat();
    for step in 1..wire.len() {
        let (mut refusals, told) = refusals();
        for stream in [1, 3, 5] {
            assert!(refusals.accepted(stream));
        }
        for piece in wire.chunks(step) {
            refusals.advance(piece);
        }
        assert_eq!(
            *told.lock().unwrap(),
            [Refused::HeadTooLarge],
            "in pieces of {step}"
        );
    }
}

#[test]
fn what_was_left_out_is_remembered_within_bounds() {
    let (mut refusals, _) = refusals();
    for stream in 0..1000 {
        assert!(refusals.accepted(4 * stream + 1));
    }
    assert!(refusals.gaps.len() <= MAX_GAPS);
    assert!(refusals.was_accepted(3997) && !refusals.was_accepted(3995));
    assert!(!refusals.was_accepted(4001));
}

/// Only of what we were not given: the others are our own refusals.
#[test]
fn a_stream_that_is_too_many_is_told_of() {
    let (mut refusals, told) = refusals();
    assert!(refusals.accepted(1));
    let resets = [1, 3, 5].map(|stream| frame(RST_STREAM, stream, &REFUSED_STREAM));
    let mut out = BytesMut::new();
    refusals.copy(&resets.concat(), &mut out);
    assert_eq!(out, resets.concat());
    assert_eq!(*told.lock().unwrap(), [Refused::TooManyStreams; 2]);
}
