//! What each command does, in the order in which it does it.

mod capacity;
mod check;
mod interrupt;
mod limits;
mod measure;
mod output;
mod overrides;
mod provenance;
mod rendering;
mod runtime;
mod setup;
mod start;
mod terminal;

use std::path::{Path, PathBuf};

use crate::cli::{Backend, Command, Forward, Merge, Primitives, Report};
use crate::error::{Error, Result};
use crate::net::forward;
use crate::net::link::parse_duration;
use crate::observe::machine;
use crate::report::numbers::plural;
use crate::results::{Results, file, merge};
use crate::{primitives, report, session, stub};
use limits::check_limits;
pub use rendering::write_report;
use runtime::{listen, place};
use terminal::{conclude, print, say};

/// Runs a command; the exit code where it is not an error.
pub fn dispatch(command: Command) -> Result<u8> {
    match command {
        Command::Compare(arguments) => measure::compare(&arguments),
        Command::Run(arguments) => measure::run_plan(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Primitives(arguments) => measure_primitives(&arguments),
        Command::Report(arguments) => render(&arguments),
        Command::Merge(arguments) => merge_shards(&arguments),
        Command::Capacity(arguments) => capacity::run(&arguments),
        Command::Backend(arguments) => serve_backend(&arguments),
        Command::Forward(arguments) => serve_forward(&arguments),
    }
}

fn measure_primitives(arguments: &Primitives) -> Result<u8> {
    let time = parse_duration(&arguments.time)
        .map_err(|message| Error::Usage(format!("--time: {message}")))?;
    let out = output::folder(&arguments.output, "primitives.json")?;
    let table = primitives::measure(time, |name| say(&format!("measuring {name}")));
    let json = serde_json::to_vec_pretty(&table)
        .map_err(|error| Error::Process(format!("the table cannot be written as JSON: {error}")))?;
    let text = primitives::table::markdown(&table);
    // Printed first: a disk that is full must not lose what was measured.
    let printed = print(&text);
    file::write(&out.join("primitives.json"), &json)?;
    file::write(&out.join("primitives.md"), text.as_bytes())?;
    conclude(printed, 0)
}

fn render(arguments: &Report) -> Result<u8> {
    let results = load(&arguments.results)?;
    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| folder_of(&arguments.results[0]));
    output::create(&folder)?;
    let results: Vec<Results> = results
        .iter()
        .map(|results| results.reportable().into_owned())
        .collect();
    if let [only] = results.as_slice() {
        write_report(&folder, only)?;
        say(&format!(
            "wrote {0}/report.md, {0}/report.html and {0}/figures.csv",
            folder.display()
        ));
        return check_limits(&arguments.limits.fail_if, only, None);
    }
    let names: Vec<_> = arguments
        .results
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let text = report::compare::markdown(&names, &results)?;
    let printed = print(&text);
    file::write(&folder.join("comparison.md"), text.as_bytes())?;
    let mut code = 0;
    for (name, results) in names.iter().zip(&results) {
        code = code.max(check_limits(
            &arguments.limits.fail_if,
            results,
            Some(name),
        )?);
    }
    conclude(printed, code)
}

fn load(paths: &[PathBuf]) -> Result<Vec<Results>> {
    paths.iter().map(|path| file::load(path)).collect()
}

/// Where a result file lies; the folder itself where that was named.
fn folder_of(results: &Path) -> PathBuf {
    match results.parent() {
        _ if results.is_dir() => results.to_owned(),
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn merge_shards(arguments: &Merge) -> Result<u8> {
    let shards = load(&arguments.results)?;
    let whole = merge::merge(shards)?;
    let out = output::folder(&arguments.output, "results.json")?;
    file::save(&out.join("results.json"), &whole)?;
    write_report(&out, &whole)?;
    say(&format!(
        "merged {} into {}/results.json",
        plural(arguments.results.len() as u64, "shard"),
        out.display()
    ));
    Ok(0)
}

fn serve_forward(arguments: &Forward) -> Result<u8> {
    machine::raise_open_files();
    runtime::run_on_one_thread(async {
        let listener = listen(&arguments.listen).await?;
        say(&format!(
            "forwards {} to {}",
            place(&listener)?,
            arguments.to
        ));
        let ended = forward::serve(listener, arguments.to).await;
        ended.map_err(Error::system("it stopped accepting"))
    })?;
    Ok(0)
}

fn serve_backend(arguments: &Backend) -> Result<u8> {
    machine::raise_open_files();
    runtime::run(async {
        let http = listen(&arguments.listen).await?;
        let blocks = match &arguments.blocks {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        say(&format!("backend on {}", place(&http)?));
        if let Some(blocks) = &blocks {
            say(&format!("blocks of raw TCP on {}", place(blocks)?));
        }
        let ended = match blocks {
            None => stub::serve(http).await,
            Some(blocks) => {
                tokio::try_join!(stub::serve(http), session::serve_blocks(blocks)).map(|_| ())
            }
        };
        ended.map_err(Error::system("the backend stopped accepting"))
    })?;
    Ok(0)
}
