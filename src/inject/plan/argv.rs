//! The words of a container's command line: where a flag and its value stand, whether a script reads
//! them first, and whether a value is an address to listen on.

use serde_json::Value;

use super::pod;

const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "busybox"];
/// Programs that start the rest of their own command line.
const WRAPPERS: &[&str] = &[
    "catatonit",
    "dumb-init",
    "env",
    "exec",
    "gosu",
    "ionice",
    "nice",
    "nohup",
    "numactl",
    "setpriv",
    "stdbuf",
    "su-exec",
    "taskset",
    "timeout",
    "tini",
];

/// What reads the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Start {
    /// The manifest names no program: the image's entrypoint.
    Entrypoint,
    /// A program, perhaps behind wrappers: words that are added reach it.
    Program,
    /// A shell, an interpreter's `-c` or a script: words that are added need not.
    Script,
}

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

/// The value of the last occurrence of `flag` on the command line itself.
pub(crate) fn flag_value<'a>(container: &'a Value, flag: &str) -> Option<&'a str> {
    let found = find_flag(container, flag)?;
    let word = |list: &str, index: usize| pod::array(container, list).get(index)?.as_str();
    match found.form {
        Form::Joined => word(found.list, found.index)?
            .strip_prefix(flag)?
            .strip_prefix('='),
        Form::Separate { list, index } => word(list, index),
        Form::Last => None,
    }
}

pub(crate) fn is_loopback(address: &str) -> bool {
    address == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Whether a value tells where to listen: an address, a wildcard, or what the kubelet or a shell fills in.
/// A host name is where a client connects to.
pub(crate) fn is_listen_address(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    text.is_empty()
        || text == "*"
        || text.starts_with('$')
        || is_loopback(bare)
        || bare.parse::<std::net::IpAddr>().is_ok()
}

/// The last path component of a word.
pub(crate) fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Every word that is run, those inside scripts too.
pub(crate) fn words(container: &Value) -> Vec<&str> {
    let argv = pod::argv(container);
    if start(container) != Start::Script {
        return argv;
    }
    let separators = |c: char| c.is_whitespace() || "\"'`;|&()".contains(c);
    argv.into_iter()
        .flat_map(|word| word.split(separators))
        .filter(|word| !word.is_empty())
        .collect()
}

/// What follows `setting` (`--flag VALUE`, `--flag=VALUE`, `VARIABLE=VALUE`) for the last time among all
/// words, those inside scripts too.
pub(crate) fn script_value<'a>(container: &'a Value, setting: &str) -> Option<&'a str> {
    let words = words(container);
    let rest = |word: &'a str| word.strip_prefix(setting);
    let at = words
        .iter()
        .rposition(|word| rest(word).is_some_and(|r| r.is_empty() || r.starts_with('=')))?;
    let joined = words.get(at).copied().and_then(rest)?.strip_prefix('=');
    joined.or_else(|| words.get(at + 1).copied())
}

pub(crate) fn start(container: &Value) -> Start {
    let argv = pod::argv(container);
    let own_command = !pod::array(container, "command").is_empty();
    let mut wrapped = false;
    for (at, word) in argv.iter().enumerate() {
        let name = base(word);
        if SHELLS.contains(&name) {
            return Start::Script;
        }
        if WRAPPERS.contains(&name) {
            wrapped = true;
            continue;
        }
        // Options and operands of a wrapper: `-N 0`, `1000:1000`, `60s`, `NAME=value`.
        if wrapped && is_wrapper_operand(word) {
            continue;
        }
        let mut options = argv.iter().skip(at + 1).take_while(|w| w.starts_with('-'));
        let inline = name.starts_with("python") && options.any(|option| *option == "-c");
        return match () {
            () if inline || is_script(name) => Start::Script,
            () if own_command || wrapped => Start::Program,
            () => Start::Entrypoint,
        };
    }
    if own_command {
        Start::Program
    } else {
        Start::Entrypoint
    }
}

fn is_script(name: &str) -> bool {
    let plain = name.to_ascii_lowercase();
    plain.strip_suffix(".sh").is_some() || plain.ends_with("entrypoint")
}

fn is_wrapper_operand(word: &str) -> bool {
    word.starts_with('-')
        || word.starts_with(|c: char| c.is_ascii_digit())
        || (word.contains('=') && !word.contains('/'))
        || matches!(word, "root" | "nobody" | "nonroot" | "all")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scripts_are_told_from_programs_behind_wrappers() {
        for (command, expected) in [
            (json!(["vllm", "serve"]), Start::Program),
            (json!(["tini", "--", "vllm", "serve"]), Start::Program),
            (
                json!(["/usr/bin/dumb-init", "bash", "-c", "x"]),
                Start::Script,
            ),
            (
                json!(["numactl", "-N", "0", "vllm", "serve"]),
                Start::Program,
            ),
            (
                json!(["gosu", "1000:1000", "timeout", "60s", "vllm", "serve"]),
                Start::Program,
            ),
            (json!(["env", "A=b", "sh", "-c", "x"]), Start::Script),
            (json!(["python3", "-c", "import vllm"]), Start::Script),
            (json!(["python3", "-u", "-c", "import vllm"]), Start::Script),
            (
                json!(["python3", "-m", "vllm.entrypoints.openai.api_server"]),
                Start::Program,
            ),
            (json!(["/opt/nvidia/entrypoint.sh"]), Start::Script),
            (json!(["docker-entrypoint"]), Start::Script),
        ] {
            let text = command.to_string();
            assert_eq!(start(&json!({"command": command})), expected, "{text}");
        }
        assert_eq!(start(&json!({"args": ["--model", "x"]})), Start::Entrypoint);
        assert_eq!(start(&json!({})), Start::Entrypoint);
        assert_eq!(start(&json!({"args": ["bash", "-c", "x"]})), Start::Script);
    }

    #[test]
    fn a_host_name_is_no_address_to_listen_on() {
        for listen in [
            "",
            "*",
            "0.0.0.0",
            "::",
            "[::]",
            "10.0.0.7",
            "$(POD_IP)",
            "${POD_IP}",
            "localhost",
            "[::1]",
        ] {
            assert!(is_listen_address(listen), "{listen}");
        }
        for target in [
            "llama",
            "llama.ai.svc",
            "redis.ns.svc.cluster.local",
            "0.0.0.0:80",
        ] {
            assert!(!is_listen_address(target), "{target}");
        }
    }
}
