//! Inference servers this program knows: how to recognise them in a manifest, their ports, and what
//! binds them to loopback. Facts only; `bind` acts on them. Sources are named in docs/kubernetes.md.

mod servers;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::servers::{KSERVE_LLM, KSERVE_PYTHON, SERVERS};
use super::argv::{self, Start};
use super::pod;

/// What makes a server listen on loopback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Binding {
    /// A flag with an address.
    Flag(&'static str),
    /// An environment variable with an address; the flag wins where it is given.
    FlagOrEnv {
        flag: &'static str,
        env: &'static str,
    },
    /// An environment variable with an address; it counts behind a script too.
    Env(&'static str),
    /// An environment variable with `address:port`.
    EnvHostPort(&'static str),
    /// Triton: one flag per listener, metrics follow HTTP unless told otherwise.
    Triton,
    /// TorchServe: one environment variable with a URL per listener.
    TorchServe,
    /// A shell script that expands this variable into the server's command line.
    ArgumentsEnv(&'static str),
    /// The address is fixed in the server's source.
    Fixed,
}

/// One known server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) title: &'static str,
    /// Words of the command line, matched on their last path component.
    words: &'static [&'static str],
    /// Subcommands that serve, of which one must follow the word; empty: the program has none.
    serves: &'static [&'static str],
    /// Parts of the image's repository, matched on its last component, or on more with a `/`.
    images: &'static [&'static str],
    /// The image's entrypoint takes a subcommand, which `args` replaces.
    entrypoint_takes_subcommand: bool,
    /// Ports it listens on by default, the inference API first.
    pub(crate) ports: &'static [u16],
    /// The flag that moves its first port.
    pub(crate) port_flag: Option<&'static str>,
    pub(crate) binding: Binding,
}

/// Containers that other systems inject: they never own a port that is put behind TLS.
const INFRASTRUCTURE: &[&str] = &[
    "istio-proxy",
    "linkerd-proxy",
    "queue-proxy",
    "agent",
    "envoy",
    "daprd",
];

pub(crate) fn is_infrastructure(container: &Value) -> bool {
    INFRASTRUCTURE.contains(&pod::name(container))
}

/// The server a container runs, as far as its manifest tells: the command line first, then the image.
/// A client of the same project (`vllm bench`, `ollama pull`) is none.
pub(crate) fn recognise(container: &Value) -> Option<&'static Server> {
    let words = argv::words(container);
    if words
        .iter()
        .any(|word| word.contains("VLLM_ADDITIONAL_ARGS"))
    {
        return Some(&KSERVE_LLM);
    }
    let image = pod::string(container, "image").unwrap_or_default();
    if KSERVE_PYTHON.has_image(image) {
        return Some(&KSERVE_PYTHON);
    }
    if let Some(server) = SERVERS.iter().find(|server| server.starts_in(&words)) {
        return Some(server);
    }
    if SERVERS.iter().any(|server| server.is_named_in(&words)) {
        return None;
    }
    // A command of one's own replaces what the image would run; a script may still run it.
    let own_command = !pod::array(container, "command").is_empty();
    if own_command && argv::start(container) == Start::Program {
        return None;
    }
    SERVERS.iter().find(|server| {
        server.has_image(image)
            && (!server.entrypoint_takes_subcommand
                || own_command
                || words
                    .first()
                    .is_none_or(|first| server.serves.contains(first)))
    })
}

impl Server {
    /// Whether its word stands in the command line, followed by a subcommand that serves.
    fn starts_in(&self, words: &[&str]) -> bool {
        words.iter().enumerate().any(|(at, word)| {
            self.is_word(word)
                && (self.serves.is_empty()
                    || words
                        .get(at + 1..)
                        .and_then(|rest| rest.iter().find(|w| !w.starts_with('-')))
                        .is_some_and(|next| self.serves.contains(next)))
        })
    }

    fn is_named_in(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(word))
    }

    fn is_word(&self, word: &str) -> bool {
        self.words.contains(&argv::base(word))
    }

    fn has_image(&self, image: &str) -> bool {
        let name = argv::base(repository(image));
        self.images.iter().any(|part| {
            let whole = if part.contains('/') {
                repository(image)
            } else {
                name
            };
            whole.contains(part)
        })
    }
}

/// An image name without tag and digest.
fn repository(image: &str) -> &str {
    let without_digest = image.split('@').next().unwrap_or_default();
    match without_digest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => without_digest,
    }
}

/// The port that the command line moves the first listener to.
pub(crate) fn moved_port(server: &Server, container: &Value) -> Option<u16> {
    argv::flag_value(container, server.port_flag?)?.parse().ok()
}

/// Why a container of a known project serves nobody, such as a worker of several nodes.
pub(crate) fn serves_nobody(container: &Value) -> Option<&'static str> {
    let words = argv::words(container);
    if words.contains(&"--headless") && recognise(container).is_some() {
        return Some("--headless: this vLLM node has no API server");
    }
    let sglang = recognise(container).is_some_and(|server| server.title == "SGLang");
    let rank = argv::flag_value(container, "--node-rank").and_then(|rank| rank.parse::<u32>().ok());
    if sglang && rank.is_some_and(|rank| rank > 0) {
        return Some("--node-rank above 0: only the first SGLang node serves");
    }
    let image = argv::base(repository(
        pod::string(container, "image").unwrap_or_default(),
    ));
    if image.contains("acmesolver") {
        return Some(
            "cert-manager's ACME solver must be reachable in plaintext, or no certificate is issued",
        );
    }
    None
}
