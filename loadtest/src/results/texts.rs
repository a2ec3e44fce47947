//! The texts of a result file, which may be a stranger's: where they are, how long they may be, and what of them a
//! terminal and a page are shown.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hybridge_page::printable;
use hybridge_redact::clean;

use super::Results;
use super::bounds::ENTRIES;

/// What a text is, which says how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word or a line, such as a target's name.
    Line,
    /// Some sentences, such as a warning.
    Words,
    /// The plan, line by line.
    Plan,
}

impl Kind {
    /// Bytes of such a text, at most.
    fn most(self) -> usize {
        match self {
            Self::Line => 1 << 10,
            Self::Words => 16 << 10,
            Self::Plan => 1 << 20,
        }
    }
}

/// Of an error's text, which may repeat what a stranger wrote.
const SHOWN: usize = 300;

/// What stands where a text was cut.
const CUT: char = '…';

/// Whether a note is the public digest that its name says, and no key.
fn is_digest(name: &str, text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    matches!(name, "commit" | "digest" | "sha256")
        && matches!(digits.len(), 40 | 64)
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The beginning of a text, without what moves a terminal's cursor or begins a line.
pub(super) fn shown(text: &str) -> String {
    let mut said: String = text.chars().take(SHOWN).map(printable).collect();
    if text.chars().nth(SHOWN).is_some() {
        said.push_str("...");
    }
    said
}

impl Results {
    /// Hands every text to `change`. Names that belong together are changed alike, so that they go on doing so.
    pub(crate) fn each_text(&mut self, change: &mut dyn FnMut(Kind, &mut String)) {
        let p = &mut self.provenance;
        let machine = &mut p.machine;
        for line in [
            &mut p.started,
            &mut p.version,
            &mut p.profile,
            &mut p.plan_name,
            &mut p.shard,
            &mut machine.cpu,
            &mut machine.kernel,
        ] {
            change(Kind::Line, line);
        }
        for line in machine.cpu_flags.iter_mut().chain(&mut p.command) {
            change(Kind::Line, line);
        }
        change(Kind::Words, &mut p.pinning);
        change(Kind::Plan, &mut p.plan);
        p.versions = std::mem::take(&mut p.versions)
            .into_iter()
            .map(|(mut name, mut version)| {
                change(Kind::Line, &mut name);
                change(Kind::Line, &mut version);
                (name, version)
            })
            .collect::<BTreeMap<_, _>>();
        for target in &mut self.targets {
            change(Kind::Line, &mut target.name);
            change(Kind::Line, &mut target.url);
            let lines = [
                &mut target.server_name,
                &mut target.metrics,
                &mut target.listener,
            ];
            for line in lines.into_iter().flatten() {
                change(Kind::Line, line);
            }
        }
        for block in self.cases.iter_mut().flat_map(|case| &mut case.blocks) {
            change(Kind::Line, &mut block.target);
        }
        for check in &mut self.checks {
            change(Kind::Line, &mut check.target);
            change(Kind::Line, &mut check.what);
        }
        for words in self.warnings.iter_mut().chain(&mut self.skipped) {
            change(Kind::Words, words);
        }
    }

    /// Refuses texts that are too long, and takes what drives a terminal out of the others.
    pub(super) fn make_printable(&mut self) -> Result<(), String> {
        let mut too_long = None;
        self.each_text(&mut |kind, text| {
            if text.len() > kind.most() {
                too_long.get_or_insert_with(|| (shown(text), kind.most()));
            }
            let is_kept = |c: char| kind == Kind::Plan && matches!(c, '\n' | '\t' | '\r');
            *text = text
                .chars()
                .map(|c| if is_kept(c) { c } else { printable(c) })
                .collect();
        });
        match too_long {
            Some((text, most)) => Err(format!("a text of more than {most} bytes: {text}")),
            None => Ok(()),
        }
    }

    /// Takes out what may be a key or a password: an argument, a comment of the plan or an error may hold one, and
    /// results are handed round.
    pub(crate) fn hide_secrets(&mut self) {
        let digests: Vec<_> = (self.provenance.versions)
            .extract_if(.., |name, text| is_digest(name, text))
            .collect();
        self.each_text(&mut |_, text| {
            if let Cow::Owned(hidden) = clean(text) {
                *text = hidden;
            }
        });
        self.provenance.versions.extend(digests);
    }

    /// Cuts what would be too long to be read again; the end says so.
    pub(super) fn fit(&mut self) {
        self.each_text(&mut |kind, text| {
            if text.len() > kind.most() {
                text.truncate(text.floor_char_boundary(kind.most() - CUT.len_utf8()));
                text.push(CUT);
            }
        });
        let p = &mut self.provenance;
        while p.versions.len() > ENTRIES {
            p.versions.pop_last();
        }
        let checks = self.checks.len().saturating_sub(ENTRIES);
        if checks > 0 {
            self.checks.truncate(ENTRIES);
            let left_out = format!("{checks} checks of bytes are left out: there are too many.");
            self.warnings.insert(0, left_out);
        }
        for list in [
            &mut self.warnings,
            &mut self.skipped,
            &mut p.command,
            &mut p.machine.cpu_flags,
        ] {
            if list.len() > ENTRIES {
                let more = list.len() - (ENTRIES - 1);
                list.truncate(ENTRIES - 1);
                list.push(format!("{CUT} and {more} more"));
            }
        }
    }

    /// The same results with names and words that Markdown shows as they are: no markup, no link, no HTML. The plan
    /// stands in a block of code.
    pub(crate) fn for_markdown(&self) -> Self {
        let mut own = self.clone();
        own.each_text(&mut |kind, text| {
            if kind == Kind::Plan || !text.contains(MARKUP) {
                return;
            }
            let mut escaped = String::with_capacity(text.len() + 8);
            for c in text.chars() {
                if MARKUP.contains(&c) {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
            *text = escaped;
        });
        own
    }
}

/// What begins HTML, links and emphasis, and the backslash, which takes that away. A `|` is the table's to escape.
const MARKUP: [char; 6] = ['\\', '<', '[', ']', '*', '~'];
