//! What to write instead of a key that is unknown where it stands.

use std::collections::BTreeSet;

use super::alias;
use super::key::{Key, Scope};
use crate::suggest::suggest_or_alias;

/// Where a known name belongs, or the nearest name that may stand in `section`.
pub(super) fn hint(section: &str, name: &str) -> String {
    let of = |scopes: &[Scope]| -> Vec<String> {
        let keys = Key::ALL.iter();
        keys.filter(|key| key.name() == name && scopes.contains(&key.scope()))
            .map(|key| place_of(*key))
            .collect()
    };
    let scope = match section.split('.').next() {
        Some("listener") => Scope::Listener,
        Some("egress") => Scope::Egress,
        _ => Scope::Process,
    };
    if let Some(key) = meant(scope, name) {
        return if key.section() == section {
            format!("did you mean `{}`?", key.name())
        } else {
            format!("did you mean `{}` {}?", key.name(), place_of(key))
        };
    }
    let mut places = match scope {
        Scope::Process => of(&[Scope::Process, Scope::Listener]),
        scope => of(&[scope]),
    };
    if places.is_empty() {
        places = of(&[Scope::Egress]);
    }
    if !places.is_empty() {
        return format!("it belongs {}", places.join(" or "));
    }
    if let Some(section) = section_elsewhere(section, name) {
        return section;
    }
    let known: BTreeSet<&str> = Key::ALL
        .iter()
        .filter_map(|key| {
            let rest = match section {
                "" => key.path(),
                section => key.path().strip_prefix(section)?.strip_prefix('.')?,
            };
            rest.split('.').next()
        })
        .chain((section == "listener.tls").then_some("certificate"))
        .collect();
    let suggestion = suggest_or_alias(name, known.iter().copied(), alias::KEYS)
        .filter(|name| known.contains(name));
    if let Some(name) = suggestion {
        return format!("did you mean `{name}`?");
    }
    let elsewhere = suggest_or_alias(name, [], alias::KEYS)
        .and_then(|name| Key::ALL.iter().find(|key| key.name() == name));
    match elsewhere {
        Some(key) => format!("did you mean `{}` {}?", key.name(), place_of(*key)),
        None => format!("known here are {}", Vec::from_iter(known).join(", ")),
    }
}

/// The key of a scope that other software calls by this name.
fn meant(scope: Scope, name: &str) -> Option<Key> {
    let meant = suggest_or_alias(name, [], alias::of_scope(scope))?;
    let mut keys = Key::ALL.iter().copied();
    keys.find(|key| key.scope() == scope && key.name() == meant)
}

/// Where a section belongs that stands in the wrong one: `[tls]` at the top, `[listener.admin]`.
fn section_elsewhere(section: &str, name: &str) -> Option<String> {
    let own_name = |path: &'static str| path.rsplit('.').next() == Some(name);
    let path = Key::ALL
        .iter()
        .map(|key| key.section())
        .find(|path| own_name(path) && *path != join(section, name))?;
    Some(match path.split_once('.') {
        Some(_) => format!("it belongs under a [[listener]], as [{path}]"),
        None => format!("it belongs at the top level, as [{path}]"),
    })
}

fn place_of(key: Key) -> String {
    match key.section() {
        "" => "at the top of the file, before the first section".to_owned(),
        "listener" => "in [[listener]]".to_owned(),
        "egress" => "in [[egress]]".to_owned(),
        section => format!("in [{section}]"),
    }
}

/// The path of a key.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}
