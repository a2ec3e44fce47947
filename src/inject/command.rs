//! The entry point that `main` calls: standard streams, clock, runtime and signals for the three
//! commands of `hybridge inject`.

use std::io::{self, IsTerminal};

use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::certs;
use super::cli::{InjectArgs, InjectCommand, OfflineArgs, ServeArgs};
use super::cluster;
use super::error::Error;
use crate::budget::Resources;
use crate::config::{LogFormat, LogSettings, log_level};
use crate::inject::manifest::offline;
use crate::inject::webhook::Server;
use crate::run::init_logging;
use crate::worker;

/// Runs `hybridge inject`. Blocks; `serve` returns after a signal and its drain.
pub fn command(args: &InjectArgs) -> Result<(), Error> {
    match &args.command {
        None => offline::run(
            &piped(&args.offline, io::stdin().is_terminal()),
            &mut io::stdin().lock(),
            &mut io::stdout().lock(),
            &mut io::stderr().lock(),
        ),
        Some(InjectCommand::Certs(args)) => {
            let now = OffsetDateTime::now_utc();
            Ok(certs::run(args, now, &mut io::stdout().lock())?)
        }
        Some(InjectCommand::Status(args)) => {
            cluster::status(args, &mut io::stdin().lock(), &mut io::stdout().lock())
        }
        Some(InjectCommand::Check(args)) => {
            cluster::check(args, &mut io::stdin().lock(), &mut io::stdout().lock())
        }
        Some(InjectCommand::Serve(args)) => serve(args),
    }
}

/// Without a file, standard input is what is meant, as of `inject check`; at a terminal nobody would write
/// manifests.
fn piped(args: &OfflineArgs, is_terminal: bool) -> OfflineArgs {
    let mut args = args.clone();
    if args.files.is_empty() && args.positional.is_empty() && !is_terminal {
        args.files.push("-".into());
    }
    args
}

fn serve(args: &ServeArgs) -> Result<(), Error> {
    let level = log_level(&args.log_level).map_err(|error| Error::Usage(error.to_string()))?;
    init_logging(&LogSettings {
        format: LogFormat::Text,
        level,
    });
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| Error::Serve { what, source }
    };
    // As for `run`: connections are bounded by memory and by number, before descriptors are.
    Resources::raise_descriptors();
    let runtime = worker::threads().map_err(failed("cannot start"))?;
    worker::run(runtime, async {
        let mut signals = Signals::new().map_err(failed("cannot install signal handlers"))?;
        let server = Server::bind(args).await?;
        let certificate_until = server.certificate_until();
        tracing::info!(
            webhook = %server.local_addr().unwrap_or(args.listen),
            admin = %server.admin_addr().unwrap_or(args.admin),
            image = %args.settings.image,
            policy = args.settings.policy.name(),
            certificate_until = certificate_until.map(tracing::field::display),
            version = crate::build::VERSIONS.hybridge,
            "serving the webhook"
        );
        let owed = server.owed();
        let shutdown = Notify::new();
        let serving = server.run(shutdown.notified());
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return ended,
            () = signals.next() => shutdown.notify_one(),
        }
        // The second signal ends it at once, as that of `run`.
        tokio::select! {
            ended = &mut serving => ended,
            () = signals.next() => match owed.requests() {
                0 => Ok(()),
                open => Err(Error::Cut(open)),
            },
        }
    })
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
