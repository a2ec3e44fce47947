//! Parses the command line, runs the command, turns its error into an exit code.
//!
//! 0: done. 1: failed. 64: the command line or the configuration is wrong (EX_USAGE of sysexits(3)).

mod allocator;
mod ending;
mod failure;

use std::io::{self, Write};
use std::process::ExitCode;
use std::{panic, thread};

use hybridge::budget::Resources;
use hybridge::cli::{self, Cli, Command, ManPages};
use hybridge::config::{self, Config, Environment, Flags, Loaded, Source};
use hybridge::redact::{self, Shown};
use hybridge::run::{self, End};
use hybridge::tls::policy::Group;
use hybridge::tls::policy::Profile;
use hybridge::{certgen, ctl, demo, inject, ticket_keys};
use hybridge_scan::groups::Known;
use hybridge_scan::probe::{self, Verdict};
use hybridge_seal::args::Artifact;
use hybridge_seal::run as sealing;

use self::allocator::Allocator;
use self::ending::{Ended, unless_signalled};
use self::failure::{EX_USAGE, Failure};

/// Less time per allocation than the system's, and memory given back.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// What a shell reports of a tool that SIGPIPE ends: 128 and the signal's number. Not 0, because what
/// was not read, such as the verdict of `inject --check`, was not said.
const BROKEN_PIPE: u8 = 128 + 13;

fn main() -> ExitCode {
    let arguments = || std::env::args_os().skip(1);
    let refusal = cli::refuse_key_text(arguments());
    if let Some(refusal) = refusal.or_else(|| cli::refuse_switch_value(arguments())) {
        say(&refusal);
        return ExitCode::from(EX_USAGE);
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(mut error) => {
            cli::suggest_flag(&mut error, arguments());
            return usage(&error);
        }
    };
    if is_offline(&cli.command)
        && let Some(instead) = cli::unmeant(arguments())
    {
        say(&instead);
        return ExitCode::from(EX_USAGE);
    }
    allocator::give_back();
    match execute(cli.command) {
        Ok(()) => {
            run::write_last("");
            ExitCode::SUCCESS
        }
        Err(failure) if failure.output().is_some_and(is_broken_pipe) => BROKEN_PIPE.into(),
        Err(failure) => {
            say(&failure.to_string());
            failure.exit_code()
        }
    }
}

/// On a thread of its own, whose memory goes with it: the description of every command is large, and
/// nothing that lives on lies between its pieces.
fn parse() -> Result<Cli, clap::Error> {
    match thread::Builder::new().spawn(cli::parse) {
        Ok(parser) => parser
            .join()
            .unwrap_or_else(|cause| panic::resume_unwind(cause)),
        // No thread to be had: then here.
        Err(_) => cli::parse(),
    }
}

/// Whether its arguments are files that stand where a command of its own could.
fn is_offline(command: &Command) -> bool {
    matches!(command, Command::Inject(args) if args.command.is_none())
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(flags) => run(&flags),
        Command::Check(call) => check(*call),
        Command::Certs(args) => cleanly(move || certs(&args)),
        Command::TicketKeys(call) => cleanly(move || ticket_keys(&call.action)),
        Command::Ctl(call) => ctl(&call),
        Command::Demo(addresses) => Ok(demo::run(&addresses)?),
        Command::Inject(args) if args.makes_files() => cleanly(move || inject::command(&args)),
        Command::Inject(args) => Ok(inject::command(&args)?),
        Command::Probe(args) => probe_one(&args),
        Command::Scan(args) => scan(&args),
        Command::Artifact(Artifact(command)) if command.writes() => {
            cleanly(move || sealing::run(&command, &mut io::stdout()))
        }
        Command::Artifact(Artifact(command)) => Ok(sealing::run(&command, &mut io::stdout())?),
        Command::Completions(wanted) => Ok(wanted.write(&mut io::stdout().lock())?),
        Command::Man(wanted) => man(&wanted),
    }
}

/// Runs a command whose partial results are removed if a signal ends it.
fn cleanly<E: Into<Failure>>(
    command: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), Failure> {
    boxed(Box::new(move || command().map_err(Into::into)))
}

/// Not generic: what watches for signals is compiled once, not for every command.
fn boxed(command: Box<dyn FnOnce() -> Result<(), Failure> + Send>) -> Result<(), Failure> {
    match unless_signalled(command).map_err(Failure::Signals)? {
        Ended::Done(result) => result,
        Ended::Signalled(number) => {
            hybridge_seal::staging::remove_all();
            certgen::finish_files();
            Err(Failure::Signalled(number))
        }
    }
}

fn probe_one(args: &hybridge_scan::ProbeArgs) -> Result<(), Failure> {
    match probe::probe(args, &known_groups(), &mut io::stdout().lock())? {
        Verdict::Protected => Ok(()),
        Verdict::Classical => Err(Failure::Classical),
        Verdict::Untrusted => Err(Failure::Untrusted),
    }
}

/// Every group that a handshake can be made with.
fn known_groups() -> Vec<Known> {
    let all = Group::ALL.into_iter();
    all.map(|group| (group.name(), group.key_exchange()))
        .collect()
}

fn scan(args: &hybridge_scan::ScanArgs) -> Result<(), Failure> {
    // 256 endpoints at a time need more than some systems have as the soft limit.
    Resources::raise_descriptors();
    if hybridge_scan::run::scan(args, &known_groups(), &mut io::stdout().lock())? {
        Ok(())
    } else {
        Err(Failure::Required)
    }
}

fn run(flags: &Flags) -> Result<(), Failure> {
    let source = Source::new(flags.clone(), Environment::of_process());
    let Loaded { config, warnings } = source.load()?;
    run::init_logging(&config.log);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    ended(run::run(config, source, allocator::give_back)?)
}

fn ended(end: End) -> Result<(), Failure> {
    match end {
        End::Drained => Ok(()),
        End::Aborted(open) => Err(Failure::Cut(open)),
    }
}

fn check(mut call: cli::Check) -> Result<(), Failure> {
    let profile = call.take_profile();
    let Loaded { config, warnings } = Config::load(&call.flags, &Environment::of_process())?;
    for warning in &warnings {
        say(warning);
    }
    let profile = profile.as_deref().map(config::profile).transpose()?;
    if call.format.is_some() && profile == Some(Profile::Off) {
        return Err(Failure::FormatOfNothing);
    }
    // Whatever is printed of it: what `run` would refuse is refused, and what it would warn of is said.
    let describe = || run::describe_certificates(&config);
    let (certificates, warnings) = run::said_if_slow(say_slow, describe)?;
    for warning in &warnings {
        say(warning);
    }
    if let Some(profile) = profile.filter(|profile| *profile != Profile::Off) {
        return check_profile(&config, profile, call.format.unwrap_or_default());
    }
    let budget = run::budget(&config);
    write!(
        io::stdout().lock(),
        "{config}
{certificates}
{budget}"
    )?;
    Ok(())
}

fn say_slow() {
    say("certificates and keys are still being read: a file system or a token does not answer");
}

fn check_profile(config: &Config, profile: Profile, format: cli::Format) -> Result<(), Failure> {
    let checks = run::said_if_slow(say_slow, || run::check_profile(config, profile))?;
    let report = cli::report(config, &checks, profile, format);
    write!(io::stdout().lock(), "{report}")?;
    if cli::passed(&checks) {
        Ok(())
    } else {
        Err(Failure::Profile(profile.name()))
    }
}

fn man(wanted: &ManPages) -> Result<(), Failure> {
    let directory = Shown::path(&wanted.directory);
    let pages = wanted.write().map_err(|cause| Failure::ManPages {
        directory: directory.clone(),
        cause,
    })?;
    writeln!(io::stdout().lock(), "{pages} pages in {directory}")?;
    Ok(())
}

fn certs(args: &certgen::Args) -> Result<(), Failure> {
    let report = certgen::run(args)?;
    writeln!(io::stdout().lock(), "{report}")?;
    Ok(())
}

fn ticket_keys(action: &ticket_keys::Action) -> Result<(), Failure> {
    let report = ticket_keys::run(action)?;
    writeln!(io::stdout().lock(), "{report}")?;
    Ok(())
}

fn ctl(call: &cli::Ctl) -> Result<(), Failure> {
    let admin = config::admin_address(call.admin.as_deref(), &Environment::of_process())?;
    Ok(ctl::call(admin, &call.action, &mut io::stdout().lock())?)
}

/// Help and version are what was asked for; everything else is a wrong command line.
fn usage(error: &clap::Error) -> ExitCode {
    if let Some(clean) = cli::without_secrets(error) {
        let _ = io::stderr().lock().write_all(clean.as_bytes());
        return ExitCode::from(EX_USAGE);
    }
    if let Some(instead) = cli::belongs_to(error, std::env::args_os().skip(1)) {
        say(&instead);
        return ExitCode::from(EX_USAGE);
    }
    let printed = error.print();
    if error.use_stderr() {
        ExitCode::from(EX_USAGE)
    } else {
        match printed {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if is_broken_pipe(&error) => BROKEN_PIPE.into(),
            Err(_) => ExitCode::FAILURE,
        }
    }
}

/// Whether the reader of standard output, such as `head`, had enough: nothing to report.
fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// A message on standard error, without what may be a key or drives a terminal; there is nowhere left to report that it could not be written.
fn say(message: &str) {
    let message = redact::lines(&cli::clean(message));
    run::write_last(&format!("hybridge: {message}\n"));
}
