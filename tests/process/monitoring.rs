//! The alert rules, the dashboard and the page about them: one source, and no noise.

use std::fmt::Write as _;
use std::path::Path;

use hybridge::inject::read_yaml;
use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The alerts of the rules file.
fn alerts() -> Vec<Value> {
    let rules = read_yaml(&read("k8s/monitoring/rules.yaml")).unwrap();
    let groups = rules["spec"]["groups"].as_array().unwrap().clone();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone());
    let alerts: Vec<_> = rules.filter(|rule| rule["alert"].is_string()).collect();
    assert!(alerts.len() > 9, "{alerts:?}");
    alerts
}

fn expression(alert: &Value) -> String {
    let words = alert["expr"].as_str().unwrap().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

fn alert(name: &str) -> Value {
    let found = alerts().into_iter().find(|alert| alert["alert"] == name);
    found.unwrap_or_else(|| panic!("no alert {name}"))
}

/// To accept a change: HYBRIDGE_BLESS=1 cargo test --test process monitoring
#[test]
fn the_page_lists_the_alerts_as_the_rules_have_them() {
    let mut table = "| alert | severity | fires if, for | remedy |\n|---|---|---|---|\n".to_owned();
    for alert in alerts() {
        writeln!(
            table,
            "| `{}` | {} | `{}`, {} | {} |",
            alert["alert"].as_str().unwrap(),
            alert["labels"]["severity"].as_str().unwrap(),
            expression(&alert).replace('|', "\\|"),
            alert["for"].as_str().unwrap_or("at once"),
            alert["annotations"]["description"].as_str().unwrap(),
        )
        .unwrap();
    }
    let page = read("docs/operations.md");
    let (before, rest) = page.split_once("<!-- alerts -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /alerts -->").unwrap();
    let expected = format!("{before}<!-- alerts -->\n{table}<!-- /alerts -->{after}");
    if std::env::var_os("HYBRIDGE_BLESS").is_some() {
        std::fs::write("docs/operations.md", &expected).unwrap();
    } else {
        assert!(page == expected, "{expected}");
    }
}

#[test]
fn a_tcp_health_check_is_no_failure() {
    let expression = expression(&alert("HybridgeHandshakeFailures"));
    let failures = expression
        .matches("hybridge_handshake_failures_total")
        .count();
    let excluded = expression
        .matches("hybridge_handshake_failures_total{reason!=\"no_hello\"}")
        .count();
    assert!(failures > 0 && failures == excluded, "{expression}");
}

#[test]
fn a_cluster_that_never_had_an_injector_gets_no_alert_about_it() {
    for alert in alerts() {
        let expression = expression(&alert);
        if expression.contains("absent(") {
            assert!(
                expression
                    .contains("and on () count(count_over_time(up{job=\"hybridge-injector\"}"),
                "{expression}"
            );
        }
    }
}

/// `process_*` is a name of every program that Prometheus scrapes.
#[test]
fn alerts_are_about_this_program_only() {
    for alert in alerts() {
        let expression = expression(&alert);
        assert!(expression.contains("hybridge"), "{expression}");
        if expression.contains("process_") {
            assert!(
                expression.contains("and on (namespace, pod, container) hybridge_build_info"),
                "{expression}"
            );
        }
    }
}

/// Counters start at zero for every label value there may be: a table without a bound is mostly zeros.
#[test]
fn tables_of_the_dashboard_have_no_rows_of_zero() {
    let dashboard: Value = serde_json::from_str(&read("k8s/monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let tables: Vec<_> = panels
        .iter()
        .filter(|panel| panel["type"] == "table")
        .collect();
    assert!(!tables.is_empty());
    for table in tables {
        for target in table["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert!(query.contains("> 0"), "{}: {query}", table["title"]);
        }
    }
}

#[test]
fn the_page_for_the_night_names_the_port_that_pods_have() {
    let page = read("docs/operations.md");
    let (_, night) = page.split_once("## At 3 a.m.").unwrap();
    let forward = night.lines().find(|line| line.contains("port-forward"));
    assert!(forward.unwrap().contains("port-forward POD 15400"));
    let deployment = read("k8s/base/standalone/deployment.yaml");
    assert!(deployment.contains("containerPort: 15400"));
}

/// What alerts and dashboard ask for is a family of this program, whatever a listener must be told to have it.
#[test]
fn alerts_and_dashboard_ask_for_families_that_exist() {
    let golden = read("tests/process/metrics.golden");
    let families: Vec<&str> = golden.lines().map(str::trim).collect();
    let queries = read("k8s/monitoring/rules.yaml") + &read("k8s/monitoring/dashboard.json");
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut asked = 0;
    for (at, _) in queries.match_indices("hybridge_") {
        // The names of recorded series hold a colon.
        if queries[..at].ends_with([':', '_']) {
            continue;
        }
        let rest = &queries[at..];
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let suffixes = ["_bucket", "_sum", "_count"].iter();
        let base = suffixes.fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
        let exists = families.contains(&name) || families.contains(&base);
        assert!(exists, "{name}");
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}
