//! The text of the source, without comments and unit tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file of `src/`.
pub(crate) struct Source {
    /// Below `src/`.
    pub(crate) path: String,
    /// Its module of the top level.
    pub(crate) part: String,
    /// Without comments and unit tests.
    pub(crate) code: String,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "src/{}", self.path)
    }
}

impl Source {
    pub(crate) fn read(root: &Path, file: &Path) -> Self {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        let part = path.split(['/', '.']).next().unwrap().to_owned();
        let text = fs::read_to_string(file).unwrap();
        Self {
            path: path.to_owned(),
            part,
            code: code(&text),
        }
    }

    /// The top-level modules of the crate that are named, alone or in braces.
    pub(crate) fn imports(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for rest in self.code.split("crate::").skip(1) {
            let names = match rest.strip_prefix('{') {
                Some(list) => list
                    .split('}')
                    .next()
                    .unwrap_or_default()
                    .split(',')
                    .collect(),
                None => vec![rest],
            };
            for name in names {
                let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                let name: String = name
                    .trim_start()
                    .chars()
                    .take_while(|c| is_name(*c))
                    .collect();
                if !name.is_empty() {
                    found.insert(name);
                }
            }
        }
        found
    }
}

/// Lines of the chosen files that contain one of these words.
pub(crate) fn naming(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    matching(chosen, |line| words.iter().any(|word| line.contains(word)))
}

/// The same, letter case aside; the words are in lower case.
pub(crate) fn naming_in_any_case(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    matching(chosen, |line| {
        let line = line.to_ascii_lowercase();
        words.iter().any(|word| line.contains(word))
    })
}

fn matching(chosen: impl Fn(&Source) -> bool, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for source in sources().into_iter().filter(chosen) {
        for line in source.code.lines() {
            if wanted(line) {
                lines.push(format!("{source}: {}", line.trim()));
            }
        }
    }
    lines
}

/// Every file of `src/`.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&root);
    assert!(files.len() > 50, "{} files", files.len());
    files.iter().map(|file| Source::read(&root, file)).collect()
}

/// The Rust files below `folder`, those of unit tests left out.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let is_code = |path: &PathBuf| !path.ends_with("tests.rs");
    all_files(folder).into_iter().filter(is_code).collect()
}

/// Every Rust file below `folder`.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// Text without comments and without the unit tests at its end.
pub(crate) fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]").next().unwrap();
    let lines = shipped.lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.fold(String::new(), |all, line| all + line + "\n")
}
