//! The offline front: byte-for-byte pass-through, second runs, lists, exit codes, and (hard case 25)
//! the same answer as the webhook.

use std::io::Read;
use std::path::PathBuf;

use clap::Parser;
use hybridge::inject::{
    Decision, Error, InjectArgs, OfflineArgs, Settings, offline, plan, read_yaml,
};
use serde_json::Value;

use crate::support::{dir, files, pod, stem};

#[derive(Debug, Parser)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) inject: InjectArgs,
}

pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) notices: String,
    pub(crate) result: Result<(), Error>,
}

pub(crate) fn run(flags: &[&str], input: &str) -> Ran {
    let words = ["inject", "-f", "-"]
        .into_iter()
        .chain(flags.iter().copied());
    run_args(
        &Cli::try_parse_from(words).unwrap().inject.offline,
        &mut input.as_bytes(),
    )
}

/// As if each text was a file of its own.
pub(crate) fn run_files(texts: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = |(number, text): (usize, &&str)| {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, text).unwrap();
        path
    };
    let args = OfflineArgs {
        files: texts.iter().enumerate().map(file).collect(),
        ..OfflineArgs::default()
    };
    run_args(&args, &mut std::io::empty())
}

pub(crate) fn run_args(args: &OfflineArgs, stdin: &mut impl Read) -> Ran {
    let (mut out, mut notices) = (Vec::new(), Vec::new());
    let result = offline::run(args, stdin, &mut out, &mut notices);
    Ran {
        out: String::from_utf8(out).unwrap(),
        notices: String::from_utf8(notices).unwrap(),
        result,
    }
}

pub(crate) const DEPLOYMENT: &str = "\
# deployed by hand
apiVersion: apps/v1
kind: Deployment
metadata: {name: llama}
spec:
  template:
    metadata:
      annotations: {hybridge.dev/tls-secret: llama-tls}
    spec:
      containers:
      - name: vllm
        image: vllm/vllm-openai:v0.11.0
        args: [--host, 0.0.0.0]
        ports: [{containerPort: 8000}]
        env:
        - {name: FLAG, value: 'yes'}
        - {name: MODE, value: '0644'}
      volumes:
      - name: s
        secret: {secretName: s, defaultMode: 0440}
";
const SERVICE: &str = "apiVersion: v1\nkind: Service   # keep me\nmetadata: {name: llama}\nspec: {ports: [{port: 8000}]}\n";

#[test]
fn other_kinds_pass_through_byte_for_byte() {
    for text in [
        SERVICE,
        "# nothing\n",
        "---\r\n# x\r\n---\r\napiVersion: v1\r\nkind: ConfigMap\r\ndata: {a: \"--- b\"}\r\n",
        "{\"kind\":\"Service\",\"apiVersion\":\"v1\"}",
    ] {
        let ran = run(&[], text);
        assert!(ran.result.is_ok());
        assert_eq!(ran.out, text);
    }
}

#[test]
fn a_file_of_several_documents_keeps_the_others_and_their_order() {
    let text = format!("{SERVICE}---\n{DEPLOYMENT}---\n{SERVICE}");
    let ran = run(&[], &text);
    let documents: Vec<&str> = ran.out.split("---\n").collect();
    assert_eq!(
        (documents.len(), documents[0], documents[2]),
        (3, SERVICE, SERVICE)
    );
    assert!(documents[1].starts_with("# deployed by hand\n"));
    assert!(documents[1].contains("name: hybridge"));
}

#[test]
fn a_second_run_changes_no_byte() {
    let text = format!("{SERVICE}---\n{DEPLOYMENT}");
    let once = run(&[], &text).out;
    assert_ne!(once, text);
    assert_eq!(run(&[], &once).out, once);
}

#[test]
fn values_keep_the_type_that_kubectl_gives_them() {
    let out = run(&[], DEPLOYMENT).out;
    let pod = &read_yaml(&out).unwrap()["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["secret"]["defaultMode"], 0o440);
    assert_eq!(pod["containers"][0]["env"][0]["value"], "yes");
    assert!(
        out.contains("value: \"yes\"")
            && out.contains("value: \"0644\"")
            && out.contains("defaultMode: 288"),
        "{out}"
    );
}

#[test]
fn every_kind_with_a_pod_is_injected() {
    let template =
        "{spec: {containers: [{name: a, image: 'vllm:1', ports: [{containerPort: 8000}]}]}}";
    for (head, at) in [
        (
            "apiVersion: apps/v1\nkind: StatefulSet\nspec: {template: @}",
            "/spec/template",
        ),
        (
            "apiVersion: apps/v1\nkind: DaemonSet\nspec: {template: @}",
            "/spec/template",
        ),
        (
            "apiVersion: apps/v1\nkind: ReplicaSet\nspec: {template: @}",
            "/spec/template",
        ),
        (
            "apiVersion: batch/v1\nkind: Job\nspec: {template: @}",
            "/spec/template",
        ),
        (
            "apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: @}}}",
            "/spec/jobTemplate/spec/template",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: [{apiVersion: apps/v1, kind: Deployment, spec: {template: @}}]",
            "/items/0/spec/template",
        ),
    ] {
        let ran = run(&[], &head.replace('@', template));
        assert!(ran.result.is_ok(), "{head}: {:?}", ran.result);
        let out = ran.out;
        let pod = read_yaml(&out).unwrap().pointer(at).unwrap().clone();
        assert_eq!(
            pod["spec"]["initContainers"][0]["name"], "hybridge",
            "{head}"
        );
    }
}

#[test]
fn json_stays_json() {
    let text = serde_json::to_string(&read_yaml(DEPLOYMENT).unwrap()).unwrap();
    let out: Value = serde_json::from_str(&run(&[], &text).out).unwrap();
    assert_eq!(
        out["spec"]["template"]["spec"]["initContainers"][0]["name"],
        "hybridge"
    );
}

#[test]
fn one_refusal_prints_nothing_that_could_be_applied() {
    let text = format!(
        "{DEPLOYMENT}---\n{}",
        DEPLOYMENT.replace("containers:\n", "hostNetwork: true\n      containers:\n")
    );
    let ran = run(&[], &text);
    let error = ran.result.unwrap_err();
    assert_eq!((ran.out.as_str(), error.exit_code()), ("", 1));
    assert!(
        error.to_string().contains("1 of 2 workloads refused")
            && error
                .to_string()
                .contains("Deployment/llama: the pod uses hostNetwork"),
        "{error}"
    );
}

#[test]
fn check_fails_while_something_would_change() {
    let before = run(&["--check"], DEPLOYMENT);
    assert!(matches!(before.result, Err(Error::WouldChange(1))));
    assert_eq!(before.out, "Deployment/llama: would change\n");
    let after = run(&["--check"], &run(&[], DEPLOYMENT).out);
    assert!(after.result.is_ok());
    assert_eq!(after.out, "Deployment/llama: already injected\n");
}

#[test]
fn explain_names_each_step_and_its_reason() {
    let ran = run(&["--explain"], DEPLOYMENT);
    for part in [
        "Deployment/llama: 5 operations",
        "bind: --host 127.0.0.1",
        "because vLLM is recognised",
        "sidecar in spec.initContainers: 8000 -> 127.0.0.1:8000",
    ] {
        assert!(ran.out.contains(part), "{part} not in\n{}", ran.out);
    }
}

#[test]
fn labels_decide_when_asked_and_a_skip_is_said() {
    let ran = run(&["--only-labelled"], DEPLOYMENT);
    assert_eq!(ran.out, DEPLOYMENT);
    assert!(
        ran.notices.contains("not injected: the pod has no label"),
        "{}",
        ran.notices
    );
    let out = DEPLOYMENT.replace(
        "metadata:\n      annotations",
        "metadata:\n      labels: {hybridge.dev/inject: disabled}\n      annotations",
    );
    assert_eq!(run(&[], &out).out, out);
}

#[test]
fn wrong_use_and_unreadable_input_end_with_64() {
    let none = run_args(&OfflineArgs::default(), &mut std::io::empty());
    assert_eq!(none.result.unwrap_err().exit_code(), 64);
    let missing = OfflineArgs {
        files: vec![PathBuf::from("/nonexistent.yaml")],
        ..OfflineArgs::default()
    };
    assert_eq!(
        run_args(&missing, &mut std::io::empty())
            .result
            .unwrap_err()
            .exit_code(),
        64
    );
    let broken = run(&[], "a: 1\n---\na: [\n").result.unwrap_err();
    assert_eq!(broken.exit_code(), 64);
    assert!(broken.to_string().contains("document 2"), "{broken}");
    assert!(Cli::try_parse_from(["inject", "-f", "-", "--image", "hybridge:latest"]).is_err());
    assert!(Cli::try_parse_from(["inject", "-f", "-", "serve"]).is_err());
}

#[test]
fn the_webhook_refuses_a_log_level_that_is_none() {
    for (level, near) in [
        ("nonsense", "warn, info, debug"),
        ("inf", "info"),
        ("a=b=c", "="),
    ] {
        let words = ["inject", "serve", "--log-level", level];
        let cli = Cli::try_parse_from(words).unwrap();
        let error = hybridge::inject::command(&cli.inject).unwrap_err();
        let said = error.to_string();
        assert_eq!(error.exit_code(), 64, "{said}");
        assert!(
            said.starts_with("--log-level: `") && said.contains(near),
            "{said}"
        );
    }
}

#[test]
fn several_files_are_kept_apart() {
    let pods = dir("pods");
    let args = OfflineArgs {
        files: vec![pods.join("vllm.yaml"), pods.join("ollama.yaml")],
        ..OfflineArgs::default()
    };
    let ran = run_args(&args, &mut std::io::empty());
    assert!(ran.result.is_ok());
    assert_eq!(ran.out.matches("kind: Pod").count(), 2);
    assert!(ran.out.contains("\n---\n"));
}

#[test]
fn offline_and_webhook_give_the_same_pod() {
    for path in files("pods", ".yaml") {
        let pod = pod(&stem(&path));
        let Ok(plan) = plan(&pod, Decision::Namespace, &Settings::default()) else {
            continue;
        };
        let args = OfflineArgs {
            files: vec![path.clone()],
            ..OfflineArgs::default()
        };
        let printed = read_yaml(&run_args(&args, &mut std::io::empty()).out).unwrap();
        assert_eq!(&printed, plan.patched(), "{}", path.display());
    }
}

/// KServe merges the containers of several objects into a pod, so no injection here could be right.
#[test]
fn what_kserve_merges_is_said_with_the_way_to_the_webhook() {
    let model = "predictor: {model: {modelFormat: {name: sklearn}}}";
    let container = "{name: kserve-container, image: \"vllm/vllm-openai:v0.11.0\"}";
    for (kind, spec, way) in [
        (
            "InferenceService",
            model.to_owned(),
            "metadata reach the pods",
        ),
        (
            "ClusterServingRuntime",
            format!("containers: [{container}]"),
            "spec.labels and spec.annotations",
        ),
        (
            "LLMInferenceService",
            format!("template: {{containers: [{container}]}}"),
            "spec.labels and spec.annotations",
        ),
    ] {
        let object = format!(
            "{{apiVersion: serving.kserve.io/v1, kind: {kind}, metadata: {{name: m, labels: {{hybridge.dev/inject: enabled}}}}, spec: {{{spec}}}}}"
        );
        for input in [
            format!("{object}\n"),
            format!("{{apiVersion: v1, kind: List, items: [{object}]}}\n"),
        ] {
            let passed = run(&[], &input);
            assert_eq!(passed.out, input);
            assert!(passed.notices.contains(way), "{kind}: {}", passed.notices);
            assert!(passed.notices.contains(&format!("{kind}/m")));
            let checked = run(&["--check"], &input).result;
            assert!(matches!(checked, Err(Error::Unseen(1))), "{kind}");
        }
    }
}

#[test]
fn other_kinds_with_pods_are_injected_or_said() {
    let container =
        "{name: a, image: \"vllm/vllm-openai:v0.11.0\", ports: [{containerPort: 8000}]}";
    let known = format!(
        "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\nmetadata: {{name: lws}}\nspec:\n  leaderWorkerTemplate:\n    workerTemplate:\n      metadata: {{labels: {{hybridge.dev/inject: enabled}}}}\n      spec: {{containers: [{container}]}}\n"
    );
    let injected = run(&[], &known);
    assert!(
        injected.out.contains("name: hybridge"),
        "{}",
        injected.notices
    );
    let unknown = |labels: &str| {
        format!(
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: iris, labels: {{{labels}}}}}\nspec: {{predictor: {{containers: [{container}]}}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {{hybridge.dev/inject: disabled}}}}\nspec: {{containers: [{container}]}}\n"
        )
    };
    let passed = run(&[], &unknown(""));
    assert_eq!(passed.out, unknown(""));
    assert!(
        passed.notices.contains("InferenceService/iris")
            && passed.notices.contains("not injected here"),
        "{}",
        passed.notices
    );
    assert!(passed.result.is_ok());
    assert!(run(&["--check"], &unknown("")).result.is_ok());
    let asking = run(&["--check"], &unknown("hybridge.dev/inject: enabled"));
    assert!(matches!(asking.result, Err(Error::Unseen(1))));
}
