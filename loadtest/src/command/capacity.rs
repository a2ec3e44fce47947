//! `capacity`: a fleet from a result file.

use super::terminal::print;
use crate::capacity::{Costs, agreement, missing, text};
use crate::cli::Capacity;
use crate::error::{Error, Result};
use crate::plan::Role;
use crate::report::warnings::warnings;
use crate::results::{Results, file};

pub(super) fn run(arguments: &Capacity) -> Result<u8> {
    let results = file::load(&arguments.results)?;
    if let Some((index, of)) = results.lone_shard() {
        return Err(Error::Usage(format!(
            "{} is shard {index} of {of}: the server worked for all of them, so that a cost would be several times too \
             much; `merge` the shards and ask of the whole",
            arguments.results.display()
        )));
    }
    let target = match &arguments.target {
        Some(name) => known(&results, name, "--target")?,
        None => first_subject(&results)?,
    };
    let costs = Costs::of(&results, &target);
    let mut out = text::per_core(
        &costs,
        &results.provenance.machine,
        arguments.tokens_per_stream,
    );
    out.push_str(&missing(&results, &costs));
    out.push_str(&text::notes(&warnings(&results)));
    if costs.are_any() {
        out.push_str(&text::notes(&[text::whole_process()]));
    }
    let load = arguments.load;
    if let Some(pods) = arguments.pods {
        if load.is_empty() {
            return Err(Error::Usage(
                "--pods without a load: say what a pod gets with --handshakes, --resumed, --requests, --http2-requests, --tokens or --connections".into(),
            ));
        }
        let fleet = text::Fleet {
            pods,
            load,
            limit: arguments.cpu_limit,
            utilisation: f64::from(arguments.utilisation) / 100.0,
        };
        out.push_str(&text::fleet(&fleet, &load.needs(&costs)?));
    }
    if let Some(other) = &arguments.against {
        let other = known(&results, other, "--against")?;
        let rows = agreement::rows(&results, &costs, &other);
        if rows.is_empty() {
            return Err(Error::Usage(format!(
                "--against: no case of \"{other}\" has its CPU and one that \"{target}\" has a cost for"
            )));
        }
        out.push_str(&text::agreement(&target, &other, &rows));
    }
    print(&out)?;
    Ok(0)
}

fn known(results: &Results, name: &str, flag: &str) -> Result<String> {
    if results.target(name).is_some() {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = results
        .targets
        .iter()
        .map(|target| format!("\"{}\"", target.name))
        .collect();
    Err(Error::Usage(format!(
        "{flag}: no target \"{name}\" in these results; they have {}",
        names.join(", ")
    )))
}

fn first_subject(results: &Results) -> Result<String> {
    let mut targets = results.targets.iter();
    let subject = targets.find(|target| target.role == Role::Subject);
    subject
        .map(|target| target.name.clone())
        .ok_or_else(|| Error::Usage("these results have no subject: name a --target".into()))
}
