//! What is measured, against servers whose behaviour is known. Not beside the other programs: they would be load.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod failing;
mod open_loop;
mod pairs;
mod streams;

#[path = "../support/mod.rs"]
mod support;
