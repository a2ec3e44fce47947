//! YAML and JSON are read as `kubectl` reads them, or refused. The table is kubectl's own output.

use hybridge::inject::read_yaml;
use serde_json::{Number, Value};

use super::offline::{run, run_files};

/// What kubectl reads without a word of what it drops: the first of two keys, bytes that are not text.
const REFUSED: [&str; 2] = ["true: 1\\n  yes: 2", "a: !!binary gA=="];
/// What kubectl refuses, and YAML allows (section 6.2 of YAML 1.2.2).
const READ: [&str; 1] = ["a:\\n  -\\tx"];

#[test]
fn scalars_keys_and_tags_are_read_as_kubectl_reads_them() {
    let table = include_str!("kubectl/scalars.txt");
    let rows = table.lines().filter_map(|line| line.split_once(" => "));
    let mut wrong = Vec::new();
    for (input, kubectl) in rows {
        let text = input.replace("\\n", "\n").replace("\\t", "\t");
        let read = read_yaml(&format!("d:\n  {text}\n"));
        let expected = serde_json::from_str::<Value>(kubectl).ok();
        let expected = expected.filter(|_| !REFUSED.contains(&input));
        let same = match (&read, &expected) {
            (Ok(read), Some(expected)) => same(&read["d"], expected),
            (Ok(_), None) => READ.contains(&input),
            (Err(_), expected) => expected.is_none(),
        };
        if !same {
            wrong.push(format!("{input}: {read:?}, kubectl: {kubectl}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table's numbers are what double precision left of them.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(one), Value::Number(other)) => {
            let is_exact = |n: &Number| n.as_i64().is_some_and(|n| n.unsigned_abs() < 1 << 53);
            is_exact(one) == is_exact(other) && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let found = |(key, value)| other.get(key).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(found)
        }
        _ => ours == theirs,
    }
}

const SERVICE: &str = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}"#;
const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","annotations":{"hybridge.dev/bind":"none"}},"spec":{"containers":[{"name":"v","image":"x:1","ports":[{"containerPort":8000}]}]}}"#;

fn objects(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    values.map(Result::unwrap).collect()
}

/// `kubectl get -o json` of several objects, one after the other, and what `jq` prints.
#[test]
fn a_stream_of_json_stays_one() {
    for between in ["\n", "", " \r\n\n"] {
        let text = format!("{SERVICE}{between}{POD}{between}{SERVICE}");
        let ran = run(&[], &text);
        assert!(ran.result.is_ok(), "{:?}", ran.result);
        assert!(ran.out.starts_with(SERVICE) && ran.out.ends_with(SERVICE));
        let read = objects(&ran.out);
        assert_eq!(read.len(), 3);
        assert!(read[1].to_string().contains("hybridge"));
        assert_eq!(run(&[], &ran.out).out, ran.out);
    }
}

#[test]
fn what_kubectl_would_leave_out_of_a_stream_is_refused() {
    for text in [
        format!("# note\n{SERVICE}\n{POD}\n"),
        format!("---\n{SERVICE}\n{POD}\n"),
        format!("{SERVICE}\n{POD}\nkind: Pod\n"),
        format!("{SERVICE}\n{POD}\n}}\n"),
    ] {
        let ran = run(&[], &text);
        assert!(ran.result.is_err(), "{}", ran.out);
        assert_eq!(ran.out, "");
    }
}

/// In a stream of JSON there are no separators, and behind one kubectl reads a single value.
#[test]
fn json_of_several_files_is_written_as_documents_of_yaml() {
    let stream = format!("{SERVICE}\n{POD}\n");
    let ran = run_files(&[&stream, &stream]);
    assert!(ran.out.starts_with("---\n"));
    let documents: Vec<&str> = ran.out.split("---\n").skip(1).collect();
    assert_eq!(documents.len(), 4, "{}", ran.out);
    for document in documents {
        assert_eq!(objects(document).len(), 1);
    }
}
