//! The scan: where the targets come from, so many endpoints at a time, the exit code.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::address_space::{self, AddressSpace};
use crate::args::{Format, ScanArgs};
use crate::dial::{Dial, is_starved};
use crate::groups::Known;
use crate::kubectl;
use crate::regular;
use crate::report::{self, Endpoint, Report, cbom, html, requirement, table};
use crate::survey::survey;
use crate::target::{self, Target};

/// Most bytes of a file or of standard input.
const MAX_INPUT: u64 = 256 << 20;
/// Between the beginnings of two scans of one thread: a target in front of many servers must not see a burst.
const JITTER: Duration = Duration::from_millis(20);

/// Why there is no report.
#[derive(Debug, Error)]
pub enum Error {
    /// Nothing to scan.
    #[error("nothing to scan: give HOST:PORT, --targets FILE or --kubectl FILE")]
    NoTargets,
    /// A source that names nothing.
    #[error("nothing to scan: {0} names no endpoint")]
    Empty(&'static str),
    /// Standard input twice.
    #[error(
        "--targets - and --kubectl -: standard input can be read once; name a file for one of them"
    )]
    StandardInputTwice,
    /// A file that cannot be read.
    #[error("{file}: {source}")]
    File {
        /// Its path.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{file}: {why}")]
    Content {
        /// Its path.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// This process was the limit, and not the endpoints.
    #[error(
        "no file descriptor was left for a connection, so that nothing can be said of the endpoints: raise the limit (ulimit -n) or lower --parallel"
    )]
    Descriptors,
    /// Standard output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether the command line or a file that it names is wrong.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Output(_) | Self::Descriptors)
    }

    /// The error of standard output.
    pub fn output(&self) -> Option<&io::Error> {
        match self {
            Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

/// Scans, with handshakes of the groups that are known, and writes the report; whether everything that was required holds.
pub fn scan(args: &ScanArgs, known: &[Known], out: &mut impl Write) -> Result<bool, Error> {
    let standard = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    if standard(&args.targets) && standard(&args.kubectl) {
        return Err(Error::StandardInputTwice);
    }
    let mut targets = args.endpoints.clone();
    let (mut not_tried, mut unread, mut unreached) = (Vec::new(), 0, 0);
    if let Some(file) = &args.targets {
        let (listed, refused) = target::read_list(&bytes_of(file)?);
        targets.extend(listed);
        unread = refused.len();
        // Without the file's name: it may be a key, given where its file was meant.
        let named = |why| format!("--targets, {why}");
        not_tried.extend(refused.into_iter().map(named));
    }
    if let Some(file) = &args.kubectl {
        let found = kubectl::read(&text_of(file)?).map_err(|why| content(file, why))?;
        targets.extend(found.targets);
        not_tried.extend(found.not_tried);
        unreached = found.unreached;
    }
    let baseline = match &args.baseline {
        Some(file) => Some(report::baseline(&text_of(file)?).map_err(|why| content(file, why))?),
        None => None,
    };
    let mut seen = std::collections::BTreeSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    if targets.is_empty() && not_tried.is_empty() {
        return Err(match (&args.targets, &args.kubectl) {
            (None, None) => Error::NoTargets,
            (Some(_), _) => Error::Empty("--targets"),
            (None, Some(_)) => Error::Empty("--kubectl"),
        });
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |elapsed| elapsed.as_secs());
    let endpoints = examine_all(&targets, known, args);
    if is_starved() {
        return Err(Error::Descriptors);
    }
    let report = Report::new(endpoints, not_tried, now, args);
    match args.format {
        Format::Table => table::write(&report, out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Format::Html => write!(out, "{}", html::page(&report))?,
        Format::Cbom => {
            let bill = cbom::bill(&report, args.cbom_version);
            serde_json::to_writer_pretty(&mut *out, &bill).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    let holds = verdict(&report, args, baseline.as_ref());
    // A requirement must not hold because something was not looked at.
    let required = args.require.is_some() || args.baseline.is_some();
    if required && unread > 0 {
        say("--require, --baseline: a line of --targets is no endpoint");
        return Ok(false);
    }
    if required && unreached > 0 && !args.allow_unreachable {
        let were = if unreached == 1 {
            "1 endpoint that speaks TLS was".to_owned()
        } else {
            format!("{unreached} endpoints that speak TLS were")
        };
        say(&format!(
            "--require, --baseline: {were} not tried, see `not tried` in the report: name a host of each as HOST:PORT, and add --allow-unreachable"
        ));
        return Ok(false);
    }
    if required && report.totals.examined == 0 {
        say("--require, --baseline: no endpoint was examined");
        return Ok(false);
    }
    Ok(holds)
}

/// Says each breach on standard error; whether there is none.
fn verdict(report: &Report, args: &ScanArgs, baseline: Option<&report::Baseline>) -> bool {
    let mut breaches = Vec::new();
    for endpoint in &report.endpoints {
        match &endpoint.outcome {
            Ok(survey) => {
                if let Some(why) = args.require.and_then(|r| requirement::breach(r, survey)) {
                    breaches.push(format!("{}: {why}", endpoint.target));
                }
            }
            Err(reason) if !args.allow_unreachable => {
                breaches.push(format!("{}: {}", endpoint.target, reason.text()));
            }
            Err(_) => {}
        }
    }
    if let Some(baseline) = baseline {
        breaches.extend(baseline.regressions(report));
    }
    for breach in &breaches {
        say(breach);
    }
    breaches.is_empty()
}

/// So many threads take the next target each until there is none.
fn examine_all(targets: &[Target], known: &[Known], args: &ScanArgs) -> Vec<Endpoint> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<Option<Endpoint>>> = Mutex::new(vec![None; targets.len()]);
    let progress = io::stderr().is_terminal();
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = targets.get(number) else {
                return;
            };
            std::thread::sleep(jitter(number));
            let endpoint = Endpoint {
                target: target.to_string(),
                outcome: Dial::find(target, args.timeout)
                    .and_then(|dial| survey(target, dial, known, args.doctor)),
            };
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = results.get_mut(number) {
                *place = Some(endpoint);
            }
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if progress {
                let end = if count == targets.len() { "\n" } else { "" };
                let _ = write!(io::stderr(), "\r{count} of {}{end}", targets.len());
            }
        }
    };
    std::thread::scope(|scope| {
        let wanted = usize::from(args.parallel).min(targets.len());
        let space = address_space::of_process().filter(|space| space.threads < wanted);
        if let Some(AddressSpace { limit_mib, threads }) = space {
            say(&format!(
                "{} of {wanted} endpoints at a time, because the address space is limited to {limit_mib} MiB (ulimit -v): the scan takes longer",
                threads.max(1)
            ));
        }
        let wanted = space.map_or(wanted, |space| space.threads);
        let start = || std::thread::Builder::new().spawn_scoped(scope, work);
        let refused = (0..wanted).find_map(|number| Some((number, start().err()?)));
        if let Some((started, error)) = &refused {
            say(&format!(
                "{started} of {wanted} threads could be started ({error}): the scan takes longer"
            ));
        }
        if refused.is_some() || wanted == 0 {
            // One is there always.
            work();
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

/// Spread over the interval by the golden ratio: neighbours in the list are far apart.
fn jitter(number: usize) -> Duration {
    JITTER.mul_f64((number as f64 * 0.618_034).fract())
}

fn text_of(file: &Path) -> Result<String, Error> {
    let mut bytes = bytes_of(file)?;
    // The byte order mark that some editors and shells write.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes);
    text.map_err(|_| content(file, "not UTF-8".to_owned()))
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().take(MAX_INPUT + 1).read_to_end(&mut bytes)
    } else {
        let opened = regular::open(file, "it is not a regular file; `-` reads standard input");
        opened.and_then(|file| file.take(MAX_INPUT + 1).read_to_end(&mut bytes))
    };
    read.map_err(|source| Error::File {
        file: file.display().to_string(),
        source,
    })?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(content(
            file,
            format!("larger than {} MiB", MAX_INPUT >> 20),
        ));
    }
    Ok(bytes)
}

fn content(file: &Path, why: String) -> Error {
    Error::Content {
        file: file.display().to_string(),
        why,
    }
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "hybridge: {line}");
}
