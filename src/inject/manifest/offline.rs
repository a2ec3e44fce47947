//! The offline front: manifests in, injected manifests out. What holds no pod, and what is right
//! already, passes through byte for byte. If one pod is refused nothing is printed, so that a pipe into
//! `kubectl apply` never applies half of a file.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;

use super::documents::{self, Document};
use super::input;
use super::line_breaks;
use super::lists::{self, Items};
use super::misplaced::{self, Misplaced};
use super::unseen::{self, Unseen};
use super::workloads;
use super::yaml_out;
use crate::counted::counted;
use crate::inject::cli::OfflineArgs;
use crate::inject::error::Error;
use crate::inject::plan::Decision;
use crate::inject::plan::Deny;
use crate::inject::plan::{Plan, plan_in, remove_in};
use crate::redact::{Shown, one_line};

/// The plan for one workload.
struct Planned {
    title: String,
    /// Whether the object says its namespace.
    is_placed: bool,
    plan: Result<Plan, Deny>,
}

/// What was found in all the input.
#[derive(Default)]
struct Findings {
    planned: Vec<Planned>,
    unseen: Vec<Unseen>,
    misplaced: Vec<Misplaced>,
    /// Lists that could not be read whole.
    odd: Vec<String>,
}

impl Findings {
    /// What is not injected here or reaches no pod, and lists that cannot be read.
    fn look_at(&mut self, object: &Value, path: &Path, document: usize) {
        let Items { items, odd } = lists::items(object);
        self.unseen.extend(unseen::find(&items));
        self.misplaced.extend(misplaced::find(&items));
        let told = odd
            .iter()
            .map(|what| format!("{}, document {document}: {what}", Shown::path(path)));
        self.odd.extend(told);
    }
}

/// Runs the offline front. The result goes to `out`; warnings and what was skipped go to `notices`.
pub fn run(
    args: &OfflineArgs,
    stdin: &mut impl Read,
    out: &mut impl Write,
    notices: &mut impl Write,
) -> Result<(), Error> {
    let files: Vec<&Path> = args
        .files
        .iter()
        .chain(&args.positional)
        .map(AsRef::as_ref)
        .collect();
    if files.is_empty() {
        return Err(Error::Usage(
            "nothing to inject: give a FILE, or - for standard input".into(),
        ));
    }
    input::require_once(files.iter().copied())?;
    let mut text = String::new();
    let mut findings = Findings::default();
    let only = files.len() == 1;
    for path in files {
        let input = input::read(path, stdin)?;
        if !only {
            separate(&mut text, &input);
        }
        text.push_str(&inject_file(path, &input, args, only, &mut findings)?);
    }
    let Findings {
        planned,
        unseen,
        misplaced,
        odd,
    } = findings;
    refuse(&planned)?;
    let printed = if args.explain {
        explanation(&planned)
    } else if args.check {
        check_report(&planned)
    } else {
        text
    };
    for line in notices_of(&planned, args)
        .into_iter()
        .chain(odd.iter().map(|what| format!("warning: {what}")))
        .chain(unseen.iter().map(Unseen::warning))
        .chain(misplaced.iter().map(Misplaced::warning))
    {
        // The result counts: nobody may read standard error, or it may be full.
        let _ = writeln!(notices, "{}", one_line(&line));
    }
    out.write_all(printed.as_bytes()).map_err(Error::Write)?;
    out.flush().map_err(Error::Write)?;
    let changes = planned.iter().filter(|j| changes(j)).count();
    let asking = unseen.iter().filter(|object| object.labelled).count();
    match (changes, asking, odd.len()) {
        _ if !args.check => Ok(()),
        (0, 0, 0) => Ok(()),
        (0, 0, odd) => Err(Error::LeftOut(odd)),
        (0, asking, _) => Err(Error::Unseen(asking)),
        (changes, ..) => Err(Error::WouldChange(changes)),
    }
}

/// Keeps documents of different files apart. The whole is YAML: kubectl would take it for a stream of JSON,
/// which has no separators, if it began with JSON.
fn separate(text: &mut String, next: &str) {
    if text.is_empty() && !documents::opens_json(next) {
        return;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !next.starts_with("---") {
        text.push_str("---\n");
    }
}

fn inject_file(
    path: &Path,
    input: &str,
    args: &OfflineArgs,
    only: bool,
    findings: &mut Findings,
) -> Result<String, Error> {
    let mut output = String::new();
    for (index, document) in documents::split(input).into_iter().enumerate() {
        let object = document.read().map_err(|source| Error::Document {
            path: path.into(),
            document: index + 1,
            source,
        })?;
        if document.continues && !only {
            separate(&mut output, document.raw);
        }
        findings.look_at(&object, path, index + 1);
        match inject_object(object, args, findings) {
            Some(changed) => output.push_str(&emit(document, &changed)),
            None => output.push_str(document.raw),
        }
    }
    Ok(output)
}

/// The object with its pods injected, or `None` when nothing in it changes.
fn inject_object(mut object: Value, args: &OfflineArgs, findings: &mut Findings) -> Option<Value> {
    let decision = if args.only_labelled {
        Decision::Object
    } else {
        Decision::Namespace
    };
    let mut changed = false;
    for workload in workloads::find(&object) {
        let pod = object.pointer_mut(&workload.pointer)?;
        let namespace = workload.namespace.as_deref();
        let plan = if args.remove {
            remove_in(namespace, pod, &args.settings)
        } else {
            plan_in(namespace, pod, decision, &args.settings)
        };
        if let Some(plan) = plan.as_ref().ok().filter(|plan| !plan.ops.is_empty()) {
            *pod = plan.patched().clone();
            changed = true;
        }
        findings.planned.push(Planned {
            title: workload.title,
            is_placed: namespace.is_some(),
            plan,
        });
    }
    changed.then_some(object)
}

fn emit(document: Document<'_>, value: &Value) -> String {
    let preamble = document.preamble();
    if document.is_json() {
        return format!(
            "{preamble}{}\n",
            line_breaks::escaped(&format!("{value:#}"))
        );
    }
    let separator = if document.opens_inline() { "---\n" } else { "" };
    format!("{preamble}{separator}{}", yaml_out::write(value))
}

fn refuse(planned: &[Planned]) -> Result<(), Error> {
    let refusals: Vec<String> = planned
        .iter()
        .filter_map(|j| Some(format!("  {}: {}", j.title, j.plan.as_ref().err()?)))
        .collect();
    if refusals.is_empty() {
        return Ok(());
    }
    Err(Error::Refused {
        refused: refusals.len(),
        objects: planned.len(),
        details: refusals.join("\n"),
    })
}

fn changes(planned: &Planned) -> bool {
    planned.plan.as_ref().is_ok_and(|plan| !plan.ops.is_empty())
}

fn state(planned: &Planned) -> &'static str {
    match &planned.plan {
        Ok(plan) if !plan.injected => "not injected",
        Ok(plan) if plan.ops.is_empty() => "already injected",
        _ => "would change",
    }
}

fn check_report(planned: &[Planned]) -> String {
    planned.iter().fold(String::new(), |mut text, j| {
        let _ = writeln!(text, "{}: {}", j.title, state(j));
        text
    })
}

fn explanation(planned: &[Planned]) -> String {
    let mut text = String::new();
    for (title, plan) in planned
        .iter()
        .filter_map(|j| Some((&j.title, j.plan.as_ref().ok()?)))
    {
        let _ = writeln!(text, "{title}: {}", counted(plan.ops.len(), "operation"));
        for step in &plan.explanation {
            let _ = writeln!(text, "  {}\n      because {}", step.what, step.why);
        }
    }
    if planned.is_empty() {
        text.push_str("no pod and no pod template found\n");
    }
    text
}

fn notices_of(planned: &[Planned], args: &OfflineArgs) -> Vec<String> {
    let mut lines = Vec::new();
    let of_namespaces = args.settings.namespace_defaults.as_ref();
    let has_defaults = of_namespaces.is_some_and(|defaults| !defaults.is_empty());
    for (planned, plan) in planned
        .iter()
        .filter_map(|j| Some((j, j.plan.as_ref().ok()?)))
    {
        let title = &planned.title;
        // The webhook knows where a pod will be, and may give it more.
        if has_defaults && plan.injected && !planned.is_placed {
            lines.push(format!("warning: {title}: names no namespace, so no defaults of --namespace-defaults count here; write metadata.namespace"));
        }
        for warning in &plan.warnings {
            lines.push(format!("warning: {title}: {warning}"));
        }
        if let Some(step) = plan
            .explanation
            .first()
            .filter(|_| !plan.injected && !args.explain)
        {
            lines.push(format!("note: {title}: not injected: {}", step.why));
        }
    }
    if planned.is_empty() && !args.explain {
        lines.push(
            "note: no pod and no pod template found; everything passes through unchanged".into(),
        );
    }
    lines
}
