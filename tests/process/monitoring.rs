//! The alert rules, the dashboard and the page about them: one source, and no noise.

use std::fmt::Write as _;
use std::path::Path;

use hybridge::inject::read_yaml;
use hybridge::tls::policy::{Group, KxClass};
use serde_json::Value;

use crate::metrics_golden::everything;

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
    let page = read("docs/operations-metrics.md");
    let (before, rest) = page.split_once("<!-- alerts -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /alerts -->").unwrap();
    let expected = format!("{before}<!-- alerts -->\n{table}<!-- /alerts -->{after}");
    if std::env::var_os("HYBRIDGE_BLESS").is_some() {
        std::fs::write("docs/operations-metrics.md", &expected).unwrap();
    } else {
        assert!(page == expected, "{expected}");
    }
}

/// An SVID lives an hour: a fixed number of days is more than its whole life.
#[test]
fn the_alerts_on_certificates_follow_their_life() {
    for name in [
        "HybridgeCertificateExpiresSoon",
        "HybridgeCertificateExpiresNow",
    ] {
        let expression = expression(&alert(name));
        let life = "hybridge_certificate_expiry_timestamp_seconds - hybridge_certificate_start_timestamp_seconds";
        assert!(
            expression.contains(&format!("clamp_max(({life}) / ")),
            "{expression}"
        );
    }
}

/// What a rule of the settings refuses is no fault of an upstream.
#[test]
fn a_refusal_by_rule_is_no_failing_upstream() {
    let expression = expression(&alert("HybridgeUpstreamFailing"));
    let refused = r#"{reason!~"capture|target_refused|tunnel_refused"}"#;
    assert!(expression.contains(refused), "{expression}");
}

/// Anybody who reaches the webhook's port may send what no API server sends.
#[test]
fn a_stranger_is_no_error_of_the_injector() {
    let expression = expression(&alert("HybridgeInjectorErrors"));
    let left_out = r#"reason!~"path|method|content_type|slow_body|broken_body|bad_head""#;
    assert!(expression.contains(left_out), "{expression}");
}

/// Nor is what a limit sheds, which works as written.
#[test]
fn a_tcp_health_check_is_no_failure() {
    let expression = expression(&alert("HybridgeHandshakeFailures"));
    let failures = expression
        .matches("hybridge_handshake_failures_total")
        .count();
    let excluded = expression
        .matches("hybridge_handshake_failures_total{reason!~\"no_hello|shed\"}")
        .count();
    assert!(failures > 0 && failures == excluded, "{expression}");
}

/// What promtool is told in tests/k8s: one case in which it fires, one in which it could and does not.
#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() {
    let cases = read_yaml(&read("tests/k8s/rules-test.yaml")).unwrap();
    let cases = cases["tests"].as_array().unwrap();
    let items = |case: &Value, key: &str| case[key].as_array().cloned().unwrap_or_default();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let expression = expression(&alert);
        let label = format!("alertname=\"{name}\"");
        let fires = cases.iter().any(|case| {
            let expected = items(case, "promql_expr_test");
            let samples = expected.iter().flat_map(|test| items(test, "exp_samples"));
            samples.filter(|sample| sample["value"] == 1).any(|sample| {
                sample["labels"]
                    .as_str()
                    .unwrap_or_default()
                    .contains(&label)
            })
        });
        assert!(fires, "no case in which {name} fires");
        let is_silent = cases.iter().any(|case| {
            let expected = items(case, "alert_rule_test");
            let none = expected.iter().any(|test| {
                test["alertname"] == name
                    && test["exp_alerts"].as_array().is_some_and(Vec::is_empty)
            });
            let concerns = |series: &Value| {
                let series = series["series"].as_str().unwrap();
                expression.contains(series.split('{').next().unwrap())
            };
            none && items(case, "input_series").iter().any(concerns)
        });
        assert!(is_silent, "no case in which {name} does not fire");
    }
}

/// A quantile is the last bound of its histogram at most.
#[test]
fn a_threshold_of_a_quantile_is_within_the_bounds() {
    let page = everything();
    let mut seen = 0;
    for alert in alerts() {
        let expression = expression(&alert);
        let Some((_, query)) = expression.split_once("histogram_quantile(") else {
            continue;
        };
        let (query, threshold) = query.rsplit_once(" > ").unwrap();
        let threshold: f64 = threshold.parse().unwrap();
        let (before, _) = query.split_once("_bucket").unwrap();
        let name = before.rsplit('(').next().unwrap();
        let buckets = page.lines().filter_map(|line| {
            let (_, rest) = line
                .strip_prefix(name)?
                .strip_prefix("_bucket{")?
                .split_once("le=\"")?;
            rest.split('"').next()?.parse::<f64>().ok()
        });
        let last = buckets
            .filter(|bound| bound.is_finite())
            .fold(0.0, f64::max);
        assert!(threshold < last, "{expression}: the last bound is {last}");
        seen += 1;
    }
    assert!(seen > 0);
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
    let night = read("docs/operations-troubleshooting.md");
    let forward = night.lines().find(|line| line.contains("port-forward"));
    assert!(forward.unwrap().contains("port-forward POD 15400"));
    let deployment = read("k8s/base/standalone/deployment.yaml");
    assert!(deployment.contains("containerPort: 15400"));
}

/// Whether a selector of the rules or the dashboard, such as `group=~"MLKEM.*"`, takes a group.
fn selects(query: &str, group: &str) -> bool {
    let (_, rest) = query.split_once("{group").unwrap();
    let (selector, _) = rest.split_once(['}', ',']).unwrap();
    let (operator, pattern) = selector.split_at(2);
    let found = match pattern {
        "\".+MLKEM.*\"" => group.find("MLKEM").is_some_and(|at| at > 0),
        "\"MLKEM.*\"" => group.starts_with("MLKEM"),
        "\".*MLKEM.*\"" => group.contains("MLKEM"),
        other => panic!("{other}"),
    };
    match operator {
        "=~" => found,
        "!~" => !found,
        other => panic!("{other}"),
    }
}

/// What is called hybrid counts only hybrids, and so on: pure ML-KEM is not a hybrid.
#[test]
fn a_series_named_after_a_class_counts_that_class() {
    let rules = read_yaml(&read("k8s/monitoring/rules.yaml")).unwrap();
    let groups = rules["spec"]["groups"].as_array().unwrap();
    let recorded = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let mut named: Vec<(String, String)> = recorded
        .filter_map(|rule| {
            Some((
                rule["record"]
                    .as_str()?
                    .replace('_', "-")
                    .replace("hybridge", ""),
                expression(rule),
            ))
        })
        .collect();
    let dashboard: Value = serde_json::from_str(&read("k8s/monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            if query.contains("{group") {
                let name = [legend, panel["title"].as_str().unwrap()];
                let name = name.into_iter().find(|name| !name.is_empty());
                named.push((name.unwrap().to_owned(), query.to_owned()));
            }
        }
    }
    let mut seen = Vec::new();
    for (name, query) in named {
        let classes = [KxClass::Hybrid, KxClass::Pure, KxClass::Classical];
        let class = classes
            .into_iter()
            .find(|class| name.contains(class.as_str()));
        let class = class.unwrap_or_else(|| panic!("{name}"));
        for group in Group::ALL {
            let expected = group.class() == class;
            assert_eq!(selects(&query, group.name()), expected, "{name}: {query}");
        }
        seen.push(class);
    }
    assert_eq!(seen.len(), 15, "{seen:?}");
}

/// A reload that fails keeps what was good, so nothing else shows that a change never came into use. The
/// failure is counted once and stands until it is mended.
#[test]
fn every_failure_of_reloads_that_stands_is_an_alert() {
    let golden = read("tests/process/metrics.golden");
    let families = golden.lines().filter(|line| line.ends_with("_failing"));
    let mut seen = 0;
    for family in families {
        let stands = format!("{family} > 0");
        let found = alerts()
            .iter()
            .any(|alert| expression(alert).starts_with(&stands));
        assert!(found, "no alert about {stands}");
        seen += 1;
    }
    assert!(seen > 1, "{seen}");
}

/// A panic is a fault that only this shows to who reads no log.
#[test]
fn a_panic_is_an_alert_and_a_panel() {
    let of_panics = "hybridge_panics_total";
    assert!(expression(&alert("HybridgePanics")).contains(of_panics));
    assert!(read("k8s/monitoring/dashboard.json").contains(of_panics));
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
