//! Paths that look random: `mktemp -d`, volumes and sandboxes name directories so. A directory that exists
//! is no key that somebody handed over by mistake, and its name is what an operator looks for.

use std::ops::Range;
use std::path::Path;

/// Longest path that is looked up, in bytes, and most directories of it: a message of somebody else must
/// not cost many system calls.
const LONGEST: usize = 1024;
const MOST: usize = 32;

/// The part of `range` after the directories that exist; `range` itself if none does.
pub(super) fn beyond(text: &str, range: Range<usize>) -> Range<usize> {
    // No further than a path may reach: many ranges may stand in one long word.
    let before = text[..range.start].char_indices().rev().take(LONGEST);
    let before = before.take_while(|(_, c)| !is_delimiter(*c)).last();
    let start = before.map_or(range.start, |(at, _)| at);
    let mut behind = text[range.end..].char_indices().take(LONGEST);
    let behind = behind.find(|(_, c)| *c == '/' || is_delimiter(*c));
    let end = behind.map_or(text.len(), |(at, _)| range.end + at);
    // The scheme of a URI may stand before the path.
    let slash = text[start..range.end].find('/').map(|at| start + at);
    let slash = slash.filter(|at| *at <= range.start);
    let known = [Some(start), slash].into_iter().flatten();
    let known = known.map(|from| existing(text, from, end)).max();
    let from = known.unwrap_or_default().clamp(range.start, range.end);
    from..range.end
}

/// Where the longest directory that begins at `from` ends, at `to` at the latest; `from` if there is none.
fn existing(text: &str, from: usize, to: usize) -> usize {
    let path = &text[from..to];
    if path.len() > LONGEST || !path.contains('/') {
        return from;
    }
    let slashes = path.match_indices('/').map(|(at, _)| at);
    let ends = slashes.chain([path.len()]).filter(|end| *end > 0);
    let exists = |end: &usize| Path::new(&path[..*end]).is_dir();
    from + ends.take(MOST).filter(exists).last().unwrap_or(0)
}

/// What may stand before a path in a message. A path with a space in it is looked up in part.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\'' | '`' | '(' | '[' | '{' | '<' | ',' | ';' | '='
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::*;

    /// Names as `mktemp -d` and a container runtime make them.
    const NAMES: [&str; 3] = [
        "tmp.p2pPgaybYj/k8s/overlays",
        "q1W2e3R4t5Y6u7I8o9P0/k8s",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    const LINE: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkEFZ2zWuXm0YwrTJ";

    #[test]
    fn directories_that_exist_are_shown_whatever_their_names() {
        let root = tempfile::tempdir().unwrap();
        for name in NAMES {
            let there = root.path().join(name);
            let path = there.join("offline-certs");
            let text = path.to_str().unwrap();
            assert!(Secret::of(text).is_some(), "{text}");
            std::fs::create_dir_all(&there).unwrap();
            assert_eq!(Secret::of(text), None);
            assert_eq!(Shown::path(&path).to_string(), text);
            for message in [
                format!("cannot read `{text}/tls.key`: no such file"),
                format!("--dir {text}"),
                format!("unix:{text}/agent.sock, (os error 2)"),
            ] {
                assert_eq!(scrub(&message), message);
            }
        }
    }

    #[test]
    fn a_key_behind_a_directory_that_exists_is_hidden() {
        let root = tempfile::tempdir().unwrap();
        let there = root.path().join(NAMES[1]);
        std::fs::create_dir_all(&there).unwrap();
        for name in [LINE.to_owned(), format!("{LINE}.pem"), format!("x/{LINE}")] {
            let path = there.join(&name);
            let text = path.to_str().unwrap();
            assert!(Secret::of(text).is_some(), "{text}");
            for output in [Shown::path(&path).to_string(), scrub(text).into_owned()] {
                assert!(!output.contains(&LINE[8..24]), "{output}");
            }
            // Another path behind it is checked by itself.
            let two = format!("{} {LINE}", there.display());
            assert!(!scrub(&two).contains(&LINE[8..24]));
        }
    }
}
