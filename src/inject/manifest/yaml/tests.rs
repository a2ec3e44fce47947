use serde_json::json;

use super::*;

fn value(text: &str) -> Value {
    read(text).unwrap_or_else(|error| json!(error.to_string()))
}

#[test]
fn plain_scalars_have_the_types_kubectl_gives_them() {
    let text = "{a: 0644, b: '0644', c: yes, d: \"yes\", e: 1_000, f: 0x1F, g: 1.50, h: ~, i: 1e3, j: -5, k: 12:30:45, l: v1.2, m: .5, r: 0o17, o: +7, p: 08, q: 1.2.3}";
    assert_eq!(
        value(text),
        json!({
            "a": 420, "b": "0644", "c": true, "d": "yes", "e": 1000, "f": 31, "g": 1.5, "h": null, "i": 1000,
            "j": -5, "k": "12:30:45", "l": "v1.2", "m": 0.5, "r": 15, "o": 7, "p": 8, "q": "1.2.3"
        })
    );
}

#[test]
fn aliases_and_merge_keys_are_expanded() {
    let text = "base: &b {x: 1, z: 2}\nother:\n  <<: *b\n  z: 3\nlist: [*b]\n";
    assert_eq!(
        value(text),
        json!({"base": {"x": 1, "z": 2}, "other": {"z": 3, "x": 1}, "list": [{"x": 1, "z": 2}]})
    );
}

#[test]
fn tabs_behind_colons_are_white_space() {
    let pairs: String = (0..300).map(|n| format!("k{n}:\tv{n}\n")).collect();
    assert_eq!(value(&pairs)["k299"], "v299");
    let text = "k: |\n  x:\ty\né: \"a:\tb\"\nl:\t \t8000 # n:\tm\n";
    assert_eq!(
        value(text),
        json!({"k": "x:\ty\n", "é": "a:\tb", "l": 8000})
    );
    let many: String = (0..=MAX_TABS).map(|n| format!("k{n}:\tv\n")).collect();
    assert!(matches!(read(&many), Err(YamlError::Syntax(_))));
}

#[test]
fn numeric_and_boolean_keys_are_text() {
    assert_eq!(value("{1: a, true: b}"), json!({"1": "a", "true": "b"}));
}

#[test]
fn what_is_no_kubernetes_object_is_refused() {
    assert!(matches!(
        read("a: 1\na: 2\n"),
        Err(YamlError::DuplicateKey(_))
    ));
    assert!(matches!(read("? [a]\n: 1\n"), Err(YamlError::NotJson(_))));
    assert!(matches!(read("a: [\n"), Err(YamlError::Syntax(_))));
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert!(matches!(read(&deep), Err(YamlError::TooBig(_))));
}

#[test]
fn an_alias_bomb_is_refused() {
    use std::fmt::Write as _;
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let alias = format!("*a{}, ", n - 1).repeat(10);
        let _ = writeln!(text, "a{n}: &a{n} [{}]", alias.trim_end_matches(", "));
    }
    assert!(matches!(read(&text), Err(YamlError::TooBig("large"))));
}

#[test]
fn a_long_text_with_many_aliases_is_refused() {
    let long = "x".repeat(100_000);
    let few = format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(9));
    assert_eq!(value(&few)["b"][8], long);
    let many = format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(1_000));
    assert!(matches!(read(&many), Err(YamlError::TooBig("large"))));
    // An anchor keeps a copy of all that is in it.
    let nested = (0..90).map(|n| format!("&a{n} [")).collect::<String>();
    let nested = format!("{nested}{}{}", "x".repeat(1_000_000), "]".repeat(90));
    assert!(matches!(read(&nested), Err(YamlError::TooBig("large"))));
}
