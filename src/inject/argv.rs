//! The words of a container's command line: where a flag and its value stand, and whether a shell
//! reads them first.

use serde_json::Value;

use super::pod;

const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "busybox"];

/// Where a flag's value stands.
pub(crate) struct Found {
    pub(crate) list: &'static str,
    pub(crate) index: usize,
    pub(crate) form: Form,
}

pub(crate) enum Form {
    /// `--flag=value`
    Joined,
    /// `--flag` followed by the value at this place.
    Separate { list: &'static str, index: usize },
    /// `--flag` as the last word of all.
    Last,
}

/// The last occurrence of `flag`, which is the one that counts for every argument parser concerned.
pub(crate) fn find_flag(container: &Value, flag: &str) -> Option<Found> {
    let words: Vec<(&'static str, usize, &str)> = ["command", "args"]
        .into_iter()
        .flat_map(|list| {
            let items = pod::array(container, list).iter().enumerate();
            items.filter_map(move |(index, word)| Some((list, index, word.as_str()?)))
        })
        .collect();
    let joined = |word: &str| {
        word.strip_prefix(flag)
            .is_some_and(|rest| rest.starts_with('='))
    };
    let at = words
        .iter()
        .rposition(|(_, _, word)| *word == flag || joined(word))?;
    let (list, index, word) = words[at];
    let form = match words.get(at + 1) {
        _ if word != flag => Form::Joined,
        Some((list, index, _)) => Form::Separate {
            list,
            index: *index,
        },
        None => Form::Last,
    };
    Some(Found { list, index, form })
}

pub(crate) fn is_loopback(address: &str) -> bool {
    address == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

pub(crate) fn starts_through_shell(container: &Value) -> bool {
    let argv = pod::argv(container);
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    argv.iter()
        .map(|word| base(word))
        .find(|word| {
            word != "env" && word != "exec" && word != "tini" && word != "--" && word != "-g"
        })
        .is_some_and(|first| SHELLS.contains(&first.as_str()))
}
