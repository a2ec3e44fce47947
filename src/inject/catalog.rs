//! Inference servers this program knows: how to recognise them in a manifest, their ports, and what
//! binds them to loopback. Facts only; `bind` acts on them. Sources are named in docs/kubernetes.md.

use serde_json::Value;

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
    /// Parts of the image's repository, matched on its last component.
    images: &'static [&'static str],
    /// Ports it listens on by default, the inference API first.
    pub(crate) ports: &'static [u16],
    /// The flag that moves its first port.
    pub(crate) port_flag: Option<&'static str>,
    pub(crate) binding: Binding,
}

const VLLM: Server = Server {
    title: "vLLM",
    words: &[
        "vllm",
        "vllm.entrypoints.openai.api_server",
        "vllm.entrypoints.api_server",
    ],
    images: &["vllm"],
    ports: &[8000],
    port_flag: Some("--port"),
    binding: Binding::Flag("--host"),
};
const SGLANG: Server = Server {
    title: "SGLang",
    words: &["sglang", "sglang.launch_server"],
    images: &["sglang"],
    ports: &[30000],
    port_flag: Some("--port"),
    binding: Binding::Flag("--host"),
};
const TGI: Server = Server {
    title: "Text Generation Inference",
    words: &["text-generation-launcher"],
    images: &["text-generation-inference"],
    ports: &[80],
    port_flag: Some("--port"),
    binding: Binding::Flag("--hostname"),
};
const TRITON: Server = Server {
    title: "Triton",
    words: &["tritonserver"],
    images: &["tritonserver"],
    ports: &[8000, 8001, 8002],
    port_flag: Some("--http-port"),
    binding: Binding::Triton,
};
const OLLAMA: Server = Server {
    title: "Ollama",
    words: &["ollama"],
    images: &["ollama"],
    ports: &[11434],
    port_flag: None,
    binding: Binding::EnvHostPort("OLLAMA_HOST"),
};
const LLAMA_CPP: Server = Server {
    title: "llama.cpp server",
    words: &["llama-server"],
    images: &["llama.cpp", "llama-server", "llama-cpp-server"],
    ports: &[8080],
    port_flag: Some("--port"),
    binding: Binding::FlagOrEnv {
        flag: "--host",
        env: "LLAMA_ARG_HOST",
    },
};
const TORCHSERVE: Server = Server {
    title: "TorchServe",
    words: &["torchserve"],
    images: &["torchserve"],
    ports: &[8080, 8081, 8082],
    port_flag: None,
    binding: Binding::TorchServe,
};
const KSERVE_LLM: Server = Server {
    title: "KServe LLMInferenceService",
    words: &[],
    images: &[],
    ports: &[8000],
    port_flag: None,
    binding: Binding::ArgumentsEnv("VLLM_ADDITIONAL_ARGS"),
};
const KSERVE_PYTHON: Server = Server {
    title: "KServe's Python ModelServer",
    words: &[],
    images: &[
        "sklearnserver",
        "xgbserver",
        "lgbserver",
        "paddleserver",
        "pmmlserver",
        "huggingfaceserver",
        "predictiveserver",
        "custom-model",
        "custom-transformer",
    ],
    ports: &[8080, 8081],
    port_flag: Some("--http_port"),
    binding: Binding::Fixed,
};

const SERVERS: &[&Server] = &[
    &VLLM,
    &SGLANG,
    &TGI,
    &TRITON,
    &OLLAMA,
    &LLAMA_CPP,
    &TORCHSERVE,
];

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
pub(crate) fn recognise(container: &Value) -> Option<&'static Server> {
    let argv = pod::argv(container);
    if argv
        .iter()
        .any(|word| word.contains("VLLM_ADDITIONAL_ARGS"))
    {
        return Some(&KSERVE_LLM);
    }
    let image = repository(pod::string(container, "image").unwrap_or_default());
    let by_image = |server: &&Server| server.images.iter().any(|part| image.contains(part));
    if by_image(&&KSERVE_PYTHON) {
        return Some(&KSERVE_PYTHON);
    }
    let by_words = |server: &&Server| {
        argv.iter().any(|word| {
            server
                .words
                .contains(&word.rsplit('/').next().unwrap_or(word))
        })
    };
    SERVERS
        .iter()
        .copied()
        .find(by_words)
        .or_else(|| SERVERS.iter().copied().find(by_image))
}

/// The last component of an image name, without tag and digest.
fn repository(image: &str) -> &str {
    let without_digest = image.split('@').next().unwrap_or_default();
    let last = without_digest.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// The port that the command line moves the first listener to.
pub(crate) fn moved_port(server: &Server, container: &Value) -> Option<u16> {
    let flag = server.port_flag?;
    let argv = pod::argv(container);
    let position = argv.iter().rposition(|word| *word == flag);
    let separate = position.and_then(|p| argv.get(p + 1)).copied();
    let joined = argv
        .iter()
        .rev()
        .find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
    separate.or(joined)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn title(container: &Value) -> Option<&'static str> {
        recognise(container).map(|server| server.title)
    }

    #[test]
    fn servers_are_recognised_by_command_line_or_image() {
        for (container, expected) in [
            (json!({"image": "vllm/vllm-openai:v0.11.0"}), "vLLM"),
            (
                json!({"image": "python:3.12", "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]}),
                "vLLM",
            ),
            (
                json!({"image": "lmsysorg/sglang:v0.5", "command": ["python3", "-m", "sglang.launch_server"]}),
                "SGLang",
            ),
            (
                json!({"image": "ghcr.io/huggingface/text-generation-inference:3.3"}),
                "Text Generation Inference",
            ),
            (
                json!({"image": "nvcr.io/nvidia/tritonserver:25.01-py3", "command": ["/opt/tritonserver/bin/tritonserver"]}),
                "Triton",
            ),
            (json!({"image": "ollama/ollama:0.12.0@sha256:00"}), "Ollama"),
            (
                json!({"image": "ghcr.io/ggml-org/llama.cpp:server-b1"}),
                "llama.cpp server",
            ),
            (
                json!({"image": "pytorch/torchserve:0.12.0-gpu"}),
                "TorchServe",
            ),
            (
                json!({"image": "kserve/huggingfaceserver:v0.15.0"}),
                "KServe's Python ModelServer",
            ),
            (
                json!({"image": "x:1", "command": ["/bin/bash", "-c"], "args": ["eval \"exec vllm serve /m ${VLLM_ADDITIONAL_ARGS}\""]}),
                "KServe LLMInferenceService",
            ),
        ] {
            assert_eq!(title(&container), Some(expected), "{container}");
        }
        assert_eq!(
            title(&json!({"image": "registry:5000/vllm/tools/redis:7"})),
            None
        );
    }

    #[test]
    fn the_port_flag_is_read_in_both_spellings() {
        let separate = json!({"args": ["--port", "9000"]});
        let joined = json!({"args": ["--port=9001"]});
        assert_eq!(moved_port(&VLLM, &separate), Some(9000));
        assert_eq!(moved_port(&VLLM, &joined), Some(9001));
        assert_eq!(moved_port(&VLLM, &json!({"args": ["--port"]})), None);
    }
}
