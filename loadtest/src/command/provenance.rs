//! What stands in a result file so that it can be assessed and repeated: machine, versions, command, plan, seed.

use std::collections::BTreeMap;

use crate::cli::Common;
use crate::error::{Error, Result};
use crate::observe::{machine, metrics};
use crate::plan::Plan;
use crate::results::Provenance;
use crate::run::Shard;
use crate::run::cores::Cores;
use crate::run::target::Resolved;
use crate::terminal::shown;
use crate::versions;

/// The version under which the generator's own libraries stand.
const CLIENT: &str = "client";

/// The command as it was given, without secrets; what is no UTF-8 is shown as such.
pub(super) fn command_line() -> Vec<String> {
    std::env::args_os()
        .skip(1)
        .map(|argument| shown(&argument.to_string_lossy()))
        .collect()
}

/// Those of `--note`; an error where one says nothing or takes another's place.
pub(super) fn notes(common: &Common) -> Result<BTreeMap<String, String>> {
    let mut notes = BTreeMap::new();
    for note in &common.note {
        let wrong = |why: &str| {
            let shown = shown(note);
            Err(Error::Usage(format!("--note \"{shown}\": {why}")))
        };
        let (name, text) = match note.split_once('=') {
            Some((name, text)) if !name.is_empty() && !text.is_empty() => (name, text),
            _ => return wrong("write NAME=TEXT, such as nginx=1.30"),
        };
        if name == CLIENT {
            return wrong("the tool's own libraries stand under that name; use another");
        }
        if notes.insert(name.to_owned(), text.to_owned()).is_some() {
            return wrong("there is a note of that name already; use another");
        }
    }
    Ok(notes)
}

pub(super) async fn provenance(
    plan: &Plan,
    common: &Common,
    notes: BTreeMap<String, String>,
    (seed, shard): (u64, Shard),
    cores: &Cores,
    targets: &[Resolved],
) -> Provenance {
    let client = format!("{}, {}", versions::of("rustls"), versions::of("aws-lc-rs"));
    let mut versions = BTreeMap::from([(CLIENT.to_owned(), client)]);
    versions.extend(notes);
    for target in targets {
        let Some(address) = target.probe.metrics else {
            continue;
        };
        let scraped = metrics::scrape(address).await.ok();
        if let Some(build) = scraped
            .as_ref()
            .and_then(|samples| samples.labels("hybridge_build_info"))
        {
            versions.insert(target.plan.name.clone(), build.replace('"', ""));
        }
    }
    let awake = if common.keep_awake {
        "; idle cores were kept from halting"
    } else {
        ""
    };
    let spins = if common.spin {
        "; the generator spun where it had to wait for a moment"
    } else {
        ""
    };
    let format = time::format_description::well_known::Rfc3339;
    let now = time::OffsetDateTime::now_utc();
    Provenance {
        started: now
            .replace_nanosecond(0)
            .unwrap_or(now)
            .format(&format)
            .unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: versions::PROFILE.to_owned(),
        command: command_line(),
        plan_name: plan.name.clone(),
        plan: plan.text.clone(),
        seed,
        shard: format!("{}/{}", shard.index, shard.of),
        machine: machine::describe(),
        versions,
        pinning: cores.describe() + awake + spins,
        spins: common.spin,
        interrupted: false,
        incomplete: false,
    }
}
