//! `inject status` and `inject check`: what a cluster holds, from what kubectl prints. Neither talks to
//! the API server, so they need no rights of their own.

mod check;
mod injector_settings;
mod installed;
mod matching;
mod objects;
mod owners;
mod protection;
mod report;
mod shipped;
mod status;

use std::io::{Read, Write};

use self::objects::Cluster;
use super::cli::ClusterArgs;
use super::error::Error;

/// Runs `inject status`.
pub fn status(
    args: &ClusterArgs,
    stdin: &mut impl Read,
    out: &mut impl Write,
) -> Result<(), Error> {
    status::report(&Cluster::read(args, stdin)?).print(out)
}

/// Runs `inject check`.
pub fn check(args: &ClusterArgs, stdin: &mut impl Read, out: &mut impl Write) -> Result<(), Error> {
    check::report(&Cluster::read(args, stdin)?, &args.settings).print(out)
}
