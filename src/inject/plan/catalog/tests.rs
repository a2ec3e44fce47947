//! What is recognised, and what only looks like it.

use serde_json::json;

use super::servers::PLAIN;
use super::*;

fn title(container: &Value) -> Option<&'static str> {
    recognise(container).map(|server| server.title)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn servers_are_recognised_by_command_line_or_image() {
    for (container, expected) in [
        (json!({"image": "vllm/vllm-openai:v0.11.0"}), "vLLM"),
        (
            json!({"image": "python:3.12", "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]}),
            "vLLM",
        ),
        (
            json!({"image": "x:1", "command": ["numactl", "-N", "0", "vllm", "serve", "/m"]}),
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
            json!({"image": "ghcr.io/huggingface/text-embeddings-inference:cpu-1.8"}),
            "Text Embeddings Inference",
        ),
        (
            json!({"image": "nvcr.io/nvidia/tritonserver:25.01-py3", "command": ["/opt/tritonserver/bin/tritonserver"]}),
            "Triton",
        ),
        (json!({"image": "ollama/ollama:0.12.0@sha256:00"}), "Ollama"),
        (
            json!({"image": "x:1", "command": ["sh", "-c", "ollama serve & sleep 5; ollama pull llama3; wait"]}),
            "Ollama",
        ),
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
        (
            json!({"image": "registry:5000/nvcr.io/nim/meta/llama-3.1-8b-instruct:1.8"}),
            "NVIDIA NIM",
        ),
        (
            json!({"image": "nvcr.io/nvidia/tensorrt-llm/release:1.0", "args": ["trtllm-serve", "serve", "/m"]}),
            "TensorRT-LLM",
        ),
        (
            json!({"image": "openmmlab/lmdeploy:v0.10", "command": ["lmdeploy", "serve", "api_server", "/m"]}),
            "LMDeploy",
        ),
        (
            json!({"image": "tensorflow/serving:2.19"}),
            "TensorFlow Serving",
        ),
        (
            json!({"image": "ghcr.io/berriai/litellm:v1", "args": ["--config", "/c.yaml"]}),
            "LiteLLM",
        ),
        (
            json!({"image": "x:1", "command": ["python3", "-m", "dynamo.frontend"]}),
            "Dynamo's frontend",
        ),
        (
            json!({"image": "ghcr.io/open-webui/open-webui:v0.6"}),
            "Open WebUI",
        ),
        (
            json!({"image": "rayproject/ray:2.49.0", "command": ["bash", "-lc", "ulimit -n 65536; ray start --head --block"]}),
            "Ray Serve",
        ),
        (json!({"image": "seldonio/mlserver:1.7.1"}), "MLServer"),
    ] {
        assert_eq!(title(&container), Some(expected), "{container}");
    }
}

#[test]
fn clients_of_a_known_project_and_foreign_commands_are_no_servers() {
    for container in [
        json!({"image": "registry:5000/vllm/tools/redis:7"}),
        json!({"image": "vllm/vllm-openai:v0.11.0", "command": ["vllm", "bench", "serve", "--host", "llama"]}),
        json!({"image": "vllm/vllm-openai:v0.11.0", "command": ["python3", "benchmark.py", "--host", "llama"]}),
        json!({"image": "ollama/ollama:0.12.3", "args": ["pull", "llama3"]}),
        json!({"image": "ollama/ollama:0.12.3", "command": ["/bin/sh", "-c", "ollama pull llama3"]}),
        json!({"image": "example/raytracer:1"}),
    ] {
        assert_eq!(title(&container), None, "{container}");
    }
}

#[test]
fn workers_and_solvers_serve_nobody() {
    for (container, serves) in [
        (
            json!({"image": "vllm/vllm-openai:v0.11.0", "args": ["--headless"]}),
            false,
        ),
        (
            json!({"image": "lmsysorg/sglang:v0.5", "args": ["--node-rank", "1"]}),
            false,
        ),
        (
            json!({"image": "lmsysorg/sglang:v0.5", "args": ["--node-rank=0"]}),
            true,
        ),
        (
            json!({"image": "quay.io/jetstack/cert-manager-acmesolver:v1.18"}),
            false,
        ),
        (json!({"image": "vllm/vllm-openai:v0.11.0"}), true),
    ] {
        assert_eq!(serves_nobody(&container).is_none(), serves, "{container}");
    }
}

#[test]
fn the_port_flag_is_read_in_both_spellings() {
    let port = |args: Value| moved_port(&PLAIN, &json!({"args": args}));
    assert_eq!(port(json!(["--port", "9000"])), Some(9000));
    assert_eq!(port(json!(["--port=9001"])), Some(9001));
    assert_eq!(port(json!(["--port"])), None);
}
