//! The table of known servers, read from their own sources and command-line references.

use super::{Binding, Server};

/// What most servers have in common; each row overrides it.
pub(super) const PLAIN: Server = Server {
    title: "",
    words: &[],
    serves: &[],
    images: &[],
    entrypoint_takes_subcommand: false,
    ports: &[8000],
    port_flag: Some("--port"),
    binding: Binding::Flag("--host"),
};
/// A script that KServe writes.
pub(super) const KSERVE_LLM: Server = Server {
    title: "KServe LLMInferenceService",
    port_flag: None,
    binding: Binding::ArgumentsEnv("VLLM_ADDITIONAL_ARGS"),
    ..PLAIN
};
/// Recognised by its image; the script of KServe is looked for first.
pub(super) const KSERVE_PYTHON: Server = Server {
    title: "KServe's Python ModelServer",
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
    ..PLAIN
};

/// The first row that fits counts.
pub(super) const SERVERS: &[Server] = &[
    Server {
        title: "vLLM",
        words: &["vllm"],
        serves: &["serve"],
        ..PLAIN
    },
    Server {
        title: "vLLM",
        words: &[
            "vllm.entrypoints.openai.api_server",
            "vllm.entrypoints.api_server",
        ],
        images: &["vllm"],
        ..PLAIN
    },
    Server {
        title: "SGLang",
        words: &["sglang"],
        serves: &["serve"],
        ports: &[30000],
        ..PLAIN
    },
    Server {
        title: "SGLang",
        words: &["sglang.launch_server"],
        images: &["sglang"],
        ports: &[30000],
        ..PLAIN
    },
    Server {
        title: "Text Generation Inference",
        words: &["text-generation-launcher"],
        images: &["text-generation-inference"],
        ports: &[80],
        binding: Binding::Flag("--hostname"),
        ..PLAIN
    },
    // Its variable is HOSTNAME, which Kubernetes sets to the pod's name: the flag must win.
    Server {
        title: "Text Embeddings Inference",
        words: &["text-embeddings-router"],
        images: &["text-embeddings-inference"],
        ports: &[80],
        binding: Binding::Flag("--hostname"),
        ..PLAIN
    },
    Server {
        title: "Triton",
        words: &["tritonserver"],
        images: &["tritonserver"],
        ports: &[8000, 8001, 8002],
        port_flag: Some("--http-port"),
        binding: Binding::Triton,
        ..PLAIN
    },
    Server {
        title: "Ollama",
        words: &["ollama"],
        serves: &["serve"],
        images: &["ollama"],
        entrypoint_takes_subcommand: true,
        ports: &[11434],
        port_flag: None,
        binding: Binding::EnvHostPort("OLLAMA_HOST"),
    },
    Server {
        title: "llama.cpp server",
        words: &["llama-server"],
        images: &["llama.cpp", "llama-server", "llama-cpp-server"],
        ports: &[8080],
        binding: Binding::FlagOrEnv {
            flag: "--host",
            env: "LLAMA_ARG_HOST",
        },
        ..PLAIN
    },
    Server {
        title: "TorchServe",
        words: &["torchserve"],
        images: &["torchserve"],
        ports: &[8080, 8081, 8082],
        port_flag: None,
        binding: Binding::TorchServe,
        ..PLAIN
    },
    Server {
        title: "MLServer",
        words: &["mlserver"],
        serves: &["start"],
        images: &["mlserver"],
        ports: &[8080, 8081, 8082],
        port_flag: None,
        binding: Binding::Env("MLSERVER_HOST"),
        ..PLAIN
    },
    Server {
        title: "TensorRT-LLM",
        words: &["trtllm-serve"],
        ..PLAIN
    },
    Server {
        title: "LMDeploy",
        words: &["lmdeploy"],
        serves: &["serve"],
        ports: &[23333],
        port_flag: Some("--server-port"),
        binding: Binding::Flag("--server-name"),
        ..PLAIN
    },
    Server {
        title: "TensorFlow Serving",
        words: &["tensorflow_model_server"],
        images: &["tensorflow/serving"],
        ports: &[8500, 8501],
        port_flag: None,
        binding: Binding::Fixed,
        ..PLAIN
    },
    Server {
        title: "LiteLLM",
        words: &["litellm"],
        images: &["litellm"],
        ports: &[4000],
        ..PLAIN
    },
    Server {
        title: "Dynamo's frontend",
        words: &["dynamo.frontend"],
        port_flag: Some("--http-port"),
        binding: Binding::FlagOrEnv {
            flag: "--http-host",
            env: "DYN_HTTP_HOST",
        },
        ..PLAIN
    },
    Server {
        title: "Open WebUI",
        images: &["open-webui"],
        ports: &[8080],
        port_flag: None,
        binding: Binding::Env("HOST"),
        ..PLAIN
    },
    Server {
        title: "Ray Serve",
        words: &["ray"],
        serves: &["start"],
        images: &["rayproject/ray"],
        port_flag: None,
        binding: Binding::Env("RAY_SERVE_DEFAULT_HTTP_HOST"),
        ..PLAIN
    },
    Server {
        title: "NVIDIA NIM",
        images: &["nvcr.io/nim/"],
        port_flag: None,
        binding: Binding::Fixed,
        ..PLAIN
    },
];
