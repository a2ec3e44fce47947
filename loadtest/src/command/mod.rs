//! What each command does, in the order in which it does it.

mod check;
mod interrupt;
mod measure;
mod overrides;
mod provenance;
mod rendering;
mod setup;

use std::io::Write;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};

use crate::cli::{Backend, Command, Merge, Primitives, Report};
use crate::error::{Error, Result};
use crate::net::link::parse_duration;
use crate::observe::machine;
use crate::results::{file, merge};
use crate::{primitives, report, session, stub};
pub use rendering::write_report;

/// Runs a command; the exit code where it is not an error.
pub fn dispatch(command: Command) -> Result<u8> {
    match command {
        Command::Compare(arguments) => measure::compare(&arguments),
        Command::Run(arguments) => measure::run_plan(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Primitives(arguments) => measure_primitives(&arguments),
        Command::Report(arguments) => render(&arguments),
        Command::Merge(arguments) => merge_shards(&arguments),
        Command::Backend(arguments) => serve_backend(&arguments),
    }
}

/// One thread for one core: no work is passed between threads that could not run at the same time anyway.
fn runtime() -> Result<Runtime> {
    let cores = machine::cores().len().max(1);
    let mut builder = if cores == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder
        .worker_threads(cores)
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "the runtime could not be started",
            source,
        })
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))
}

fn measure_primitives(arguments: &Primitives) -> Result<u8> {
    let time = parse_duration(&arguments.time)
        .map_err(|message| Error::Usage(format!("--time: {message}")))?;
    create(&arguments.out)?;
    let table = primitives::measure(time, |name| say(&format!("measuring {name}")));
    let json = serde_json::to_vec_pretty(&table)
        .map_err(|error| Error::Process(format!("the table cannot be written as JSON: {error}")))?;
    file::write(&arguments.out.join("primitives.json"), &json)?;
    let text = primitives::table::markdown(&table);
    file::write(&arguments.out.join("primitives.md"), text.as_bytes())?;
    print(&text)?;
    Ok(0)
}

fn render(arguments: &Report) -> Result<u8> {
    let results = arguments
        .results
        .iter()
        .map(|path| file::load(path))
        .collect::<Result<Vec<_>>>()?;
    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| match &arguments.results[0] {
            path if path.is_dir() => path.clone(),
            path => path.parent().map(Path::to_owned).unwrap_or_default(),
        });
    create(&folder)?;
    if let [only] = results.as_slice() {
        write_report(&folder, only)?;
        say(&format!(
            "wrote {0}/report.md and {0}/report.html",
            folder.display()
        ));
        return Ok(0);
    }
    let names: Vec<_> = arguments
        .results
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let text = report::compare::markdown(&names, &results);
    file::write(&folder.join("comparison.md"), text.as_bytes())?;
    print(&text)?;
    Ok(0)
}

fn merge_shards(arguments: &Merge) -> Result<u8> {
    let shards = arguments
        .results
        .iter()
        .map(|path| file::load(path))
        .collect::<Result<Vec<_>>>()?;
    let whole = merge::merge(shards)?;
    create(&arguments.out)?;
    file::save(&arguments.out.join("results.json"), &whole)?;
    write_report(&arguments.out, &whole)?;
    say(&format!(
        "merged {} shards into {}/results.json",
        arguments.results.len(),
        arguments.out.display()
    ));
    Ok(0)
}

fn serve_backend(arguments: &Backend) -> Result<u8> {
    machine::raise_open_files();
    runtime()?.block_on(async {
        let http = listen(&arguments.listen).await?;
        let blocks = match &arguments.blocks {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        say(&format!("backend on {}", arguments.listen));
        let ended = match blocks {
            None => stub::serve(http).await,
            Some(blocks) => {
                tokio::try_join!(stub::serve(http), session::serve_blocks(blocks)).map(|_| ())
            }
        };
        ended.map_err(|source| Error::System {
            what: "the backend stopped accepting",
            source,
        })
    })?;
    Ok(0)
}

async fn listen(address: &str) -> Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| Error::Process(format!("cannot listen on {address}: {error}")))
}

fn print(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| Error::System {
            what: "standard output",
            source,
        })
}

fn say(text: &str) {
    // A closed standard error must not end the run.
    writeln!(std::io::stderr(), "{text}").ok();
}
