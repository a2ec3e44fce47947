//! Hard case 12: how an app is moved to loopback, in every form a start command takes.

use serde_json::{Value, json};

use crate::support::{annotated, inject, probe_table, refuse, vllm};

fn app(pod: &Value) -> &Value {
    &pod["spec"]["containers"][0]
}

fn with_app(key: &str, value: Value) -> Value {
    let mut pod = vllm();
    pod["spec"]["containers"][0][key] = value;
    pod
}

fn args_of(pod: &Value) -> Value {
    app(inject(pod).patched())["args"].clone()
}

#[test]
fn the_host_flag_is_found_in_every_form() {
    for (args, expected) in [
        (
            json!(["--host", "0.0.0.0", "--port", "8000"]),
            json!(["--host", "127.0.0.1", "--port", "8000"]),
        ),
        (json!(["--host=0.0.0.0"]), json!(["--host=127.0.0.1"])),
        (
            json!(["--port", "8000", "--host"]),
            json!(["--port", "8000", "--host", "127.0.0.1"]),
        ),
        (
            json!(["--port", "8000"]),
            json!(["--port", "8000", "--host", "127.0.0.1"]),
        ),
        (json!(["--host", "::1"]), json!(["--host", "::1"])),
        (
            json!(["--host", "10.0.0.1", "--host", "0.0.0.0"]),
            json!(["--host", "10.0.0.1", "--host", "127.0.0.1"]),
        ),
        (
            json!(["--host", "$(POD_IP)"]),
            json!(["--host", "127.0.0.1"]),
        ),
    ] {
        assert_eq!(args_of(&with_app("args", args.clone())), expected, "{args}");
    }
}

#[test]
fn a_flag_may_stand_in_command_and_its_value_in_args() {
    let mut pod = with_app("command", json!(["vllm", "serve", "--host"]));
    pod["spec"]["containers"][0]["args"] = json!(["0.0.0.0", "--x"]);
    assert_eq!(args_of(&pod), json!(["127.0.0.1", "--x"]));
}

#[test]
fn no_args_at_all_get_args_and_a_warning() {
    let mut pod = vllm();
    pod["spec"]["containers"][0]
        .as_object_mut()
        .unwrap()
        .shift_remove("args");
    let plan = inject(&pod);
    assert_eq!(app(plan.patched())["args"], json!(["--host", "127.0.0.1"]));
    assert!(plan.warnings.iter().any(|w| w.contains("CMD")));
}

/// The pod with a container that has this command and no args.
fn started(command: &Value) -> Value {
    let mut pod = with_app("command", command.clone());
    let container = pod["spec"]["containers"][0].as_object_mut().unwrap();
    container.shift_remove("args");
    pod
}

#[test]
fn a_script_that_does_not_say_loopback_is_refused_with_the_ways_out() {
    for command in [
        json!(["/bin/bash", "-c", "vllm serve m --host 0.0.0.0"]),
        json!(["sh", "-c", "vllm serve m"]),
        json!(["dumb-init", "bash", "-c", "vllm serve m --host=$POD_IP"]),
        json!(["python3", "-u", "-c", "import vllm.entrypoints"]),
        json!(["/entrypoint.sh"]),
        json!(["gosu", "1000:1000", "/start.sh", "vllm", "serve", "m"]),
        json!(["sh", "-c", "OLLAMA_HOST=0.0.0.0 ollama serve"]),
        json!(["sh", "-c", "llama-server -m m --host 0.0.0.0"]),
    ] {
        let deny = refuse(&started(&command));
        assert_eq!(deny.reason(), "not_movable", "{command}");
        let message = deny.to_string();
        for way in ["127.0.0.1", "bind-env", "bind: none", "mode: explicit"] {
            assert!(message.contains(way), "{way}: {message}");
        }
        let told = annotated(started(&command), "bind", "none");
        assert!(inject(&told).injected, "{command}");
    }
}

#[test]
fn a_script_that_says_loopback_is_left_as_it_is() {
    for command in [
        json!(["/bin/bash", "-c", "exec vllm serve m --host 127.0.0.1"]),
        json!(["sh", "-c", "vllm serve m --host=localhost"]),
        json!(["sh", "-c", "llama-server -m m --host 127.0.0.1"]),
    ] {
        let plan = inject(&started(&command));
        assert_eq!(app(plan.patched())["command"], command);
        assert_eq!(app(plan.patched()).get("args"), None);
        assert_eq!(plan.warnings, Vec::<String>::new());
    }
    let inherited = inject(&started(&json!(["sh", "-c", "ollama serve"])));
    let env = app(inherited.patched())["env"].to_string();
    assert!(env.contains("OLLAMA_HOST"), "{env}");
}

#[test]
fn an_unknown_server_is_moved_by_its_variable_or_a_usual_flag_and_else_refused() {
    let unknown = with_app("image", json!("own:1"));
    let mut unknown_without_flag = unknown.clone();
    unknown_without_flag["spec"]["containers"][0]["args"] = json!(["serve"]);
    let deny = refuse(&unknown_without_flag);
    assert_eq!(deny.reason(), "unknown_server");
    for way in [
        "bind-env",
        "bind: none",
        "mode: explicit",
        "inject: disabled",
    ] {
        assert!(deny.to_string().contains(way), "{deny}");
    }
    let plan = inject(&annotated(
        unknown_without_flag.clone(),
        "bind-env",
        "ADDR=127.0.0.1:8000",
    ));
    assert_eq!(
        app(plan.patched())["env"],
        json!([{"name": "ADDR", "value": "127.0.0.1:8000"}])
    );
    assert!(plan.warnings.is_empty());
    assert!(
        inject(&annotated(unknown_without_flag, "bind", "none"))
            .warnings
            .is_empty()
    );
    assert_eq!(args_of(&unknown), json!(["--host", "127.0.0.1"]));
}

#[test]
fn a_host_name_is_a_target_and_never_rewritten() {
    for (image, args) in [
        ("own:1", json!(["--host", "redis.cache.svc"])),
        ("vllm/vllm-openai:v0.11.0", json!(["--host=llama.ai.svc"])),
    ] {
        let mut pod = with_app("args", args);
        pod["spec"]["containers"][0]["image"] = json!(image);
        let deny = refuse(&pod);
        assert!(
            ["unknown_server", "not_movable"].contains(&deny.reason()),
            "{deny}"
        );
    }
    let mut client = with_app("image", json!("ollama/ollama:0.12.3"));
    client["spec"]["containers"][0]["args"] = json!(["serve"]);
    client["spec"]["containers"][0]["env"] =
        json!([{"name": "OLLAMA_HOST", "value": "http://ollama.ai.svc:11434"}]);
    assert_eq!(refuse(&client).reason(), "not_movable");
}

#[test]
fn a_port_that_the_command_line_contradicts_is_refused() {
    for args in [json!(["--port", "9000"]), json!(["--port=9000"])] {
        let deny = refuse(&with_app("args", args));
        assert_eq!(deny.reason(), "port_conflict");
        assert!(deny.to_string().contains("9000"), "{deny}");
    }
    let deny = refuse(&with_app("args", json!(["--uds", "/run/vllm.sock"])));
    assert!(deny.to_string().contains("/run/vllm.sock"), "{deny}");
}

#[test]
fn triton_listeners_move_together_and_its_metrics_stay_scrapable() {
    let mut pod = annotated(vllm(), "ports", "8000");
    pod["spec"]["containers"][0] = json!({
        "name": "triton", "image": "tritonserver:25", "command": ["tritonserver"],
        "ports": [{"containerPort": 8000}, {"containerPort": 8001}, {"containerPort": 8002}],
        "livenessProbe": {"grpc": {"port": 8001}},
    });
    let plan = inject(&pod);
    assert_eq!(
        app(plan.patched())["args"],
        json!([
            "--http-address",
            "127.0.0.1",
            "--grpc-address",
            "127.0.0.1",
            "--metrics-address",
            "0.0.0.0"
        ])
    );
    assert_eq!(probe_table(plan.patched())[0]["port"], 8001);
    assert!(plan.warnings.iter().any(|w| w.contains("8001")));
    let all = inject(&annotated(pod, "ports", "8000,8001,8002"));
    assert_eq!(app(all.patched())["args"][5], "127.0.0.1");
}
