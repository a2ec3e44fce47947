//! Imports run one way: each room uses those before it in the list, no file of a room leads back to itself through its
//! neighbours, and no file outgrows what one can read.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the ground up.
const ROOMS: [&str; 17] = [
    "error",
    "rng",
    "versions",
    "stats",
    "tls",
    "net",
    "http",
    "plan",
    "results",
    "stub",
    "session",
    "observe",
    "run",
    "report",
    "primitives",
    "cli",
    "command",
];
const MOST_LINES: usize = 400;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with its text, tests left out.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.push((path, code.to_owned()));
        }
    }
    found
}

fn room(path: &Path) -> String {
    let below = path.strip_prefix(source()).unwrap();
    let first = below.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The names that follow `prefix`, also those of a list in braces.
fn names_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut names = BTreeSet::new();
    for rest in text.split(prefix).skip(1) {
        match rest.strip_prefix('{') {
            None => names.extend([word(rest)]),
            Some(list) => {
                let list = list.split("};").next().unwrap_or_default();
                names.extend(list.split(',').map(word));
            }
        }
    }
    names
}

#[test]
fn imports_run_downwards() {
    let place = |name: &str| ROOMS.iter().position(|room| *room == name);
    let files = files(&source());
    assert!(files.len() > 50, "the files were not found");
    for (path, code) in files {
        let Some(own) = place(&room(&path)) else {
            continue;
        };
        for name in names_after(&code, "crate::") {
            if let Some(other) = place(&name) {
                assert!(
                    other <= own,
                    "{} uses {name}, which is above it",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn no_file_of_a_room_leads_back_to_itself() {
    let mut rooms: BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (path, code) in files(&source()) {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem != "mod" && path.parent() != Some(&source()) {
            let room = rooms.entry(path.parent().unwrap().to_owned()).or_default();
            room.insert(stem, names_after(&code, "super::"));
        }
    }
    for (folder, uses) in rooms {
        for start in uses.keys() {
            let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
            while let Some(file) = next.pop() {
                for other in uses.get(file).into_iter().flatten() {
                    assert_ne!(
                        other,
                        start,
                        "a circle through {start} in {}",
                        folder.display()
                    );
                    if seen.insert(other) {
                        next.push(other);
                    }
                }
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    for (path, _) in files(&source()) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}
