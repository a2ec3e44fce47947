//! `hybridge ctl census`: the census of each listener as an answer to "could we require hybrid?".

use std::io::Write;

use hybridge_scan::printable::printable;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::census::{Client, Report};
use crate::cli::Census;
use crate::counted::counted;
use crate::redact::{Shown, printable_json};
use crate::tls::credentials::rfc3339;

/// Kinds of client that are listed as text.
const SHOWN: usize = 20;

/// The page `/census`.
#[derive(Deserialize, Serialize)]
pub(super) struct Page {
    listeners: Vec<Listener>,
}

#[derive(Deserialize, Serialize)]
struct Listener {
    #[serde(rename = "listener")]
    name: String,
    policy: String,
    /// Without one it is off.
    census: Option<Report>,
}

pub(super) fn write(mut page: Page, args: &Census, out: &mut impl Write) -> Result<(), Error> {
    if let Some(wanted) = &args.listener {
        let known: Vec<_> = page.listeners.iter().map(|l| l.name.clone()).collect();
        page.listeners.retain(|l| l.name == *wanted);
        if page.listeners.is_empty() {
            return Err(Error::Listener {
                written: Shown::from(wanted.as_str()),
                known: known.join(", "),
            });
        }
    }
    if args.json {
        let json = serde_json::to_string_pretty(&page).map_err(std::io::Error::from)?;
        writeln!(out, "{}", printable_json(&json))?;
        return Ok(());
    }
    if page.listeners.is_empty() {
        writeln!(
            out,
            "no listeners: the census counts clients of listeners, and this process has egresses only"
        )?;
    }
    for (index, listener) in page.listeners.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        text(listener, out)?;
    }
    Ok(())
}

fn text(listener: &Listener, out: &mut impl Write) -> Result<(), Error> {
    let Listener {
        name,
        policy,
        census,
    } = listener;
    let (name, policy) = (printable(name), printable(policy));
    let Some(report) = census else {
        writeln!(
            out,
            "listener {name}, {policy}: the census is off (listener.census.size = 0)"
        )?;
        return Ok(());
    };
    let since = rfc3339(report.since.cast_signed());
    writeln!(out, "listener {name}, {policy}, since {since}")?;
    for sentence in answer(report) {
        writeln!(out, "{}", printable(&sentence))?;
    }
    if report.clients.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:>9} {:>7}  {:<36}  {:<18}  last seen             asks for, certificate",
        "count", "share", "JA4", "from"
    )?;
    for client in report.clients.iter().take(SHOWN) {
        writeln!(out, "{}", printable(row(client, report).trim_end()))?;
    }
    if let Some(more) = report.clients.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        writeln!(out, "{more} more: --json lists them")?;
    }
    Ok(())
}

/// What it means for the policy.
fn answer(report: &Report) -> Vec<String> {
    let Report {
        served,
        classical,
        failed,
        ..
    } = *report;
    let mut said = Vec::new();
    if served == 0 && failed == 0 {
        said.push("no connections yet".to_owned());
    }
    if served > 0 {
        let share = percent(classical, served);
        said.push(format!(
            "requiring hybrid would have refused {share} % of connections ({classical} of {served})"
        ));
    }
    if failed > 0 {
        said.push(format!(
            "{} without a hybrid group failed: the policy or the client refused",
            counted(failed, "handshake")
        ));
    }
    if let Some(first) = report.clients.first() {
        let share = percent(first.count, classical.saturating_add(failed));
        let who = format!("{}{}", first.ja4, origin(first));
        said.push(format!(
            "{share} % of those without a hybrid group are {who}"
        ));
    }
    said
}

fn origin(client: &Client) -> String {
    let source = client
        .source
        .as_ref()
        .map(|source| format!(" from {source}"));
    let identity = client.identity.as_ref();
    let identity = identity.map(|name| format!(" with certificate {name}"));
    source.unwrap_or_default() + &identity.unwrap_or_default()
}

fn row(client: &Client, report: &Report) -> String {
    let share = percent(client.count, report.classical.saturating_add(report.failed));
    let seen = rfc3339(client.last_seen.cast_signed());
    let count = match client.error {
        0 => client.count.to_string(),
        error => format!("{}-{error}", client.count),
    };
    let plain = |text: &Option<String>| text.clone().unwrap_or_default();
    format!(
        "{count:>9} {share:>5} %  {:<36}  {:<18}  {seen:<20}  {} {}",
        client.ja4,
        client.source.as_deref().unwrap_or("-"),
        plain(&client.server_name),
        plain(&client.identity),
    )
}

/// With one digit behind the point; of nothing it is nothing.
fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 / whole.max(1) as f64;
    format!("{:.1}", 100.0 * share.min(1.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::redact::is_printable;

    #[test]
    fn nothing_in_the_json_drives_a_terminal() {
        let page = serde_json::json!({"listeners": [
            {"listener": "a\u{9b}31m\u{202e}\u{2028}", "policy": "x", "census": null}]});
        let page: Page = serde_json::from_value(page).unwrap();
        let args = Census {
            listener: None,
            json: true,
        };
        let mut out = Vec::new();
        write(page, &args, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(
            said.chars().all(|c| c == '\n' || is_printable(c)),
            "{said:?}"
        );
        let back: Page = serde_json::from_str(&said).unwrap();
        assert_eq!(back.listeners[0].name, "a\u{9b}31m\u{202e}\u{2028}");
    }

    #[test]
    fn a_process_without_listeners_says_so() {
        let page = Page {
            listeners: Vec::new(),
        };
        let args = Census {
            listener: None,
            json: false,
        };
        let mut out = Vec::new();
        write(page, &args, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(said.starts_with("no listeners: "), "{said}");
    }
}
