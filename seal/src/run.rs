//! Carries a command out.

use std::io::Write;

use crate::args::Command;
use crate::commands::{inspect, keys, open, reseal, rewrap, seal, sign, verify};
use crate::error::Error;

/// Carries a command out, and reports to `out`. Never inlined: compiled with what calls it, it would be
/// twice as long, and this crate is compiled for size.
#[inline(never)]
pub fn run(command: &Command, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        Command::Keys(args) => keys(args, out),
        Command::Seal(args) => seal(args),
        Command::Open(args) => open(args),
        Command::Rewrap(args) => rewrap(args, out),
        Command::Reseal(args) => reseal(args, out),
        Command::Inspect(args) => inspect(args, out),
        Command::Sign(args) => sign(args, out),
        Command::Verify(args) => verify(args, out),
    }
}
