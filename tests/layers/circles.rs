//! No module imports what leads back to it: neither a sibling nor a child that imports its parent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source::{code, files};

/// A module by its path from the crate's root.
type Module = Vec<String>;

#[test]
fn no_module_leads_back_to_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for sources in ["src", "loadtest/src", "scan/src", "seal/src"] {
        let circles = Graph::read(&root.join(sources)).circles();
        assert_eq!(circles, BTreeSet::new(), "{sources}");
    }
}

/// The check itself must be able to fail.
#[test]
fn a_circle_is_seen_however_it_is_written() {
    let graph = Graph::of(&[
        ("a", "mod b;\nmod c;\npub use self::b::B;\nuse c::C;"),
        ("a::b", "use super::super::d::{self, D as E};"),
        (
            "a::c",
            "pub(crate) use crate::{\n    a::{A, b::B},\n    e,\n};",
        ),
        ("d", "fn f() { crate::a::b::g(); }"),
        ("e", "fn a() {}"),
    ]);
    let circles: Vec<String> = graph.circles().into_iter().collect();
    assert_eq!(circles, ["a a::c", "a::b d"]);
}

/// Every module with the modules that it imports.
pub(crate) struct Graph(BTreeMap<Module, BTreeSet<Module>>);

impl Graph {
    pub(crate) fn read(root: &Path) -> Self {
        let files = files(root);
        assert!(files.len() > 15, "{} files", files.len());
        let text = |file: &Path| code(&fs::read_to_string(file).unwrap());
        let modules = files.iter().map(|file| (module(root, file), text(file)));
        Self::new(&modules.collect())
    }

    fn of(modules: &[(&str, &str)]) -> Self {
        let modules = modules.iter();
        Self::new(
            &modules
                .map(|(name, code)| (path(name), (*code).to_owned()))
                .collect(),
        )
    }

    fn new(code: &BTreeMap<Module, String>) -> Self {
        let imports = |(module, text): (&Module, &String)| {
            let found = imports(module, text, |path| code.contains_key(path));
            (module.clone(), found)
        };
        Self(code.iter().map(imports).collect())
    }

    /// Which room of the crate imports which other.
    pub(crate) fn between_rooms(&self) -> BTreeSet<(String, String)> {
        let edges = self
            .0
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |to| (from, to)));
        let rooms = edges.map(|(from, to)| (from[0].clone(), to[0].clone()));
        rooms.filter(|(from, to)| from != to).collect()
    }

    /// Which part of a room imports which other part of it.
    pub(crate) fn within(&self, room: &str) -> BTreeSet<(String, String)> {
        let parts = |module: &Module| match &module[..] {
            [of, part, ..] if of == room => Some(part.clone()),
            _ => None,
        };
        let edges = self
            .0
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |to| (from, to)));
        let parts = edges.filter_map(|(from, to)| Some((parts(from)?, parts(to)?)));
        parts.filter(|(from, to)| from != to).collect()
    }

    /// Modules that reach each other, each circle as one line.
    fn circles(&self) -> BTreeSet<String> {
        let reached: BTreeMap<&Module, BTreeSet<&Module>> = self
            .0
            .keys()
            .map(|module| (module, self.reach(module)))
            .collect();
        let circle = |module: &&Module| -> Option<String> {
            let back = |other: &&&Module| reached[**other].contains(*module);
            let members: Vec<String> = reached[*module]
                .iter()
                .filter(back)
                .map(|other| other.join("::"))
                .collect();
            (members.len() > 1).then(|| members.join(" "))
        };
        reached.keys().filter_map(circle).collect()
    }

    fn reach(&self, start: &Module) -> BTreeSet<&Module> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(module) = next.pop() {
            for other in self.0.get(module).into_iter().flatten() {
                if seen.insert(other) {
                    next.push(other);
                }
            }
        }
        seen
    }
}

fn path(name: &str) -> Module {
    name.split("::").map(str::to_owned).collect()
}

fn module(root: &Path, file: &Path) -> Module {
    let below = file.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Module = below
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// The modules that `text`, the code of `module`, names. A re-export of what lies below it is none.
fn imports(module: &[String], text: &str, exists: impl Fn(&[String]) -> bool) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut rest = String::new();
    for statement in text.split_inclusive(';') {
        let Some((before, tree)) = split_use(statement) else {
            rest.push_str(statement);
            continue;
        };
        let is_export = before
            .trim_end()
            .ends_with(|c: char| c.is_alphanumeric() || c == ')');
        for names in expand(tree) {
            let target = resolve(module, &names, &exists);
            found.extend(target.filter(|target| !(is_export && target.starts_with(module))));
        }
    }
    let separated = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
    for name in rest.split(separated).filter(|name| name.contains("::")) {
        found.extend(resolve(module, &path(name), &exists));
    }
    found.remove(module);
    found
}

/// What stands before `use` in a statement (`pub`, if anything), and the tree behind it.
fn split_use(statement: &str) -> Option<(&str, &str)> {
    let start = statement.rfind("\nuse ").map(|at| at + 1);
    let at = start
        .or_else(|| statement.starts_with("use ").then_some(0))
        .or_else(|| statement.rfind(" use ").map(|at| at + 1))?;
    let (before, tree) = statement.split_at(at);
    let last_line = before.lines().last().unwrap_or_default();
    Some((
        last_line,
        tree.trim_start_matches("use ").trim_end_matches(';'),
    ))
}

/// Every path of a tree such as `a::{b, c::{self, D as E}}`.
fn expand(tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some((prefix, list)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap();
        return vec![path(name.trim())];
    };
    let list = list.trim_end().strip_suffix('}').unwrap_or(list);
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    let items = items.into_iter().filter(|item| !item.trim().is_empty());
    items
        .flat_map(|item| expand(&format!("{}{}", prefix.trim(), item.trim())))
        .collect()
}

/// The deepest module on a path; `None` for what is not of this crate.
fn resolve(
    module: &[String],
    names: &[String],
    exists: impl Fn(&[String]) -> bool,
) -> Option<Module> {
    let mut at = module.to_vec();
    let mut names = names.iter().map(String::as_str).peekable();
    match *names.peek()? {
        "crate" => {
            at.clear();
            names.next();
        }
        "self" => {
            names.next();
        }
        "super" => {
            while names.next_if_eq(&"super").is_some() {
                at.pop();
            }
        }
        first => {
            at.push(first.to_owned());
            if !exists(&at) {
                return None;
            }
            names.next();
        }
    }
    for name in names {
        at.push(name.to_owned());
        if !exists(&at) {
            at.pop();
            break;
        }
    }
    exists(&at).then_some(at)
}
