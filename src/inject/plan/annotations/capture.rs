//! An egress whose app names its targets: how, and which it may name.

use super::reader::{NONE, Reader, parse_as, quoted, wrong};
use crate::inject::plan::deny::Deny;
use crate::proxy::egress::TargetRule;

/// How apps name their targets, and which they may.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// As the sidecar's flag has it.
    pub(crate) name: &'static str,
    pub(crate) allowed: String,
}

pub(super) const EGRESS: &str = "egress";
pub(super) const PROTOCOL: &str = "egress-protocol";
pub(super) const CAPTURE: &str = "egress-capture";
pub(super) const ALLOWED: &str = "egress-targets-allowed";

/// The capture of an egress with the entries `items`, if it has one.
pub(super) fn parse(read: &Reader<'_>, items: &[String]) -> Result<Option<Capture>, Deny> {
    let what = "use one of http-proxy, socks5, none";
    let name = read.parsed(CAPTURE, what, |text| match text {
        "http-proxy" => Some(Ok(Some("http-proxy"))),
        "socks5" => Some(Ok(Some("socks5"))),
        NONE => Some(Ok(None)),
        "redirect" => Some(Err(wrong(
            CAPTURE,
            "is \"redirect\", which needs an init container with NET_ADMIN, and no injection gives that; write the pod as k8s/examples/redirect.yaml does, or use socks5",
        ))),
        _ => None,
    })?;
    let name = name.transpose()?.flatten();
    let rules = read.list(ALLOWED)?;
    for rule in rules.iter().flatten() {
        if let Some(problem) = parse_as::<TargetRule>(rule) {
            let rule = quoted(rule);
            return Err(wrong(ALLOWED, &format!("has {rule}, which {problem}")));
        }
    }
    if name.is_some() && read.level(EGRESS) > read.level(CAPTURE) && !is_captured(read, items) {
        read.leave_out(CAPTURE, EGRESS);
        return Ok(None);
    }
    match (name, rules) {
        (None, Some(_)) if read.own(ALLOWED).is_some() => Err(wrong(
            ALLOWED,
            "has a meaning only with hybridge.dev/egress-capture: without it apps name no targets; add that, or remove this",
        )),
        (None, _) => Ok(None),
        (Some(_), None) => Err(wrong(
            CAPTURE,
            "needs hybridge.dev/egress-targets-allowed, which says what apps may name, such as *.train:* or 10.244.0.0/16:1024-65535; an egress is no open relay",
        )),
        (Some(name), Some(rules)) => Ok(Some(Capture {
            name,
            allowed: rules.join(","),
        })),
    }
}

/// Whether entries are written for a capture: a single one, whose target the app names.
fn is_captured(read: &Reader<'_>, items: &[String]) -> bool {
    let names_none = |item: &String| !item.contains("->") || item.contains("{host}");
    items.len() == 1 && items.iter().all(names_none) && read.level(PROTOCOL) <= read.level(CAPTURE)
}
