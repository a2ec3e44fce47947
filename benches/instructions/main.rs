//! Instructions of the real proxy for one operation, counted by callgrind: a change that costs more is seen
//! without a quiet machine. `just instructions`, `just instructions record`; docs/performance.md has the table.
//!
//! Each scenario runs twice, with N and with 2N operations; a Nth of the difference is one operation, for start
//! and end cancel out. `cargo bench -- --test` carries out some of each without valgrind and counts nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod load;
mod origin;
mod proxy;
mod record;
mod scenario;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use load::Load;
use proxy::{Proxy, Run};
use record::{LIMIT, Record, Tools, Verdict, assess, change};
use scenario::{SCENARIOS, Scenario};

/// Operations of a run that counts nothing.
const REHEARSED: u32 = 8;

/// What is asked of `just instructions`.
#[derive(Debug, Parser)]
#[command(name = "just instructions")]
enum Command {
    /// Count, and compare with the record: exit code 1 if a scenario grew beyond the limit
    Compare {
        /// Scenarios whose name contains this
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
        /// Directory for the callgrind files, to open with callgrind_annotate
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Count, and write benches/instructions.toml
    Record,
}

fn main() -> ExitCode {
    // cargo adds `--bench`, and hands the arguments of criterion to every benchmark.
    let words: Vec<String> = std::env::args().filter(|word| word != "--bench").collect();
    if words.iter().any(|word| word == "--test") {
        return finish(rehearse());
    }
    if !matches!(
        words.get(1).map(String::as_str),
        Some("compare" | "record" | "help")
    ) {
        println!("instructions: not counted here; `just instructions` builds what it counts");
        return ExitCode::SUCCESS;
    }
    finish(execute(&Command::parse_from(words)))
}

fn finish(done: Result<ExitCode, String>) -> ExitCode {
    done.unwrap_or_else(|problem| {
        println!("instructions: {problem}");
        ExitCode::FAILURE
    })
}

/// A few operations of each scenario through the binary that cargo built along; and each has a record.
fn rehearse() -> Result<ExitCode, String> {
    let record = Record::load()?;
    let binary = Path::new(env!("CARGO_BIN_EXE_hybridge"));
    for scenario in SCENARIOS {
        run(scenario, binary, REHEARSED, None);
        println!("instructions: {}: rehearsed, not counted", scenario.name);
        if !record.instructions.contains_key(scenario.name) {
            return Err(format!(
                "{} is not recorded: `just instructions record`",
                scenario.name
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn execute(command: &Command) -> Result<ExitCode, String> {
    let tools = Tools::here();
    match (command, tools) {
        (Command::Record, tools) => {
            let (with, instructions) = (tools?, BTreeMap::new());
            let mut record = Record { with, instructions };
            for scenario in SCENARIOS {
                let count = count(scenario, None)?;
                println!("{:30} {count:>12}", scenario.name);
                record.instructions.insert(scenario.name.to_owned(), count);
            }
            record.save()?;
            Ok(ExitCode::SUCCESS)
        }
        (Command::Compare { .. }, Err(absent)) => {
            println!("SKIPPED: instructions: {absent}");
            Ok(ExitCode::SUCCESS)
        }
        (Command::Compare { only, keep }, Ok(tools)) => compare(only, keep.as_deref(), &tools),
    }
}

fn compare(only: &str, keep: Option<&Path>, tools: &Tools) -> Result<ExitCode, String> {
    let record = Record::load()?;
    println!(
        "{:30} {:>12} {:>12} {:>8}",
        "instructions", "recorded", "now", "change"
    );
    let mut verdicts = Vec::new();
    for scenario in SCENARIOS
        .iter()
        .filter(|scenario| scenario.name.contains(only))
    {
        let recorded = record.instructions.get(scenario.name).copied();
        let now = count(*scenario, keep)?;
        let verdict = assess(recorded, now);
        println!("{}", line(scenario.name, recorded, now, verdict));
        verdicts.push(verdict);
    }
    Ok(conclude(&verdicts, &record.with, tools))
}

fn line(name: &str, recorded: Option<u64>, now: u64, verdict: Verdict) -> String {
    let remark = match verdict {
        Verdict::Within => "",
        Verdict::Grew => "  MORE",
        Verdict::Shrank => "  less: record it",
        Verdict::New => "  not recorded",
    };
    match recorded {
        Some(recorded) => {
            let change = 100.0 * change(recorded, now);
            format!("{name:30} {recorded:>12} {now:>12} {change:>+6.1} %{remark}")
        }
        None => format!("{name:30} {:>12} {now:>12} {:>8}{remark}", "-", "-"),
    }
}

/// The closing words, and whether a scenario grew. Counts of another processor are not comparable.
fn conclude(verdicts: &[Verdict], recorded: &Tools, here: &Tools) -> ExitCode {
    if recorded != here {
        println!("recorded with {recorded:?}\nhere          {here:?}");
    }
    if recorded.processor != here.processor {
        println!(
            "SKIPPED: instructions: not compared, the processor has other features than the recorded one"
        );
        return ExitCode::SUCCESS;
    }
    if !verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Grew | Verdict::New))
    {
        return ExitCode::SUCCESS;
    }
    println!(
        "FAILED: more than {:.0} % above the record, or not in it. `just instructions compare --keep DIR` keeps what \
         callgrind_annotate reads. If it is meant, or another compiler's doing: `just instructions record`",
        100.0 * LIMIT
    );
    ExitCode::FAILURE
}

/// Instructions of one operation.
fn count(scenario: Scenario, keep: Option<&Path>) -> Result<u64, String> {
    let binary = Path::new(env!("CARGO_BIN_EXE_hybridge")).with_file_name("../quick/hybridge");
    if !binary.exists() {
        return Err(format!(
            "{} is not there; `just instructions` builds it",
            binary.display()
        ));
    }
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let place = keep.unwrap_or(dir.path());
    fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
    let total = |times: u32| {
        let out = place.join(format!("{}-{times}.callgrind", scenario.name));
        run(scenario, &binary, times, Some(&out));
        total_of(&out)
    };
    let (short, long) = (total(scenario.times)?, total(2 * scenario.times)?);
    let more = long
        .checked_sub(short)
        .ok_or("the longer run took fewer instructions")?;
    Ok(more / u64::from(scenario.times))
}

fn run(scenario: Scenario, binary: &Path, times: u32, counts: Option<&Path>) {
    // One thread for both ends, so that they take turns in the same order every time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let load = Load::new(scenario.work).await;
        let proxy = Proxy::start(&Run {
            binary,
            counts,
            app: load.app,
            protocol: scenario.protocol,
            egress: load.egress(),
        })
        .await;
        load.carry_out(&proxy, times).await;
        proxy.end().await;
    });
}

/// The sum over the whole run, as callgrind wrote it.
fn total_of(out: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .ok_or(format!("{}: callgrind wrote no total", out.display()))
}
