use super::*;

fn manifest(method: Method) -> Manifest {
    let piece = |range, byte| Piece {
        range,
        digest: [byte; 32],
    };
    let files = match method {
        Method::Files => vec![
            ("a/b", vec![piece(None, 1)]),
            ("a.txt", vec![piece(None, 2)]),
        ],
        Method::Shards(_) => vec![("a", vec![piece(Some((0, 10)), 1), piece(Some((10, 12)), 2)])],
    };
    Manifest {
        name: "model".to_owned(),
        method,
        ignore: vec!["model.sig".to_owned()],
        files: files
            .into_iter()
            .map(|(name, pieces)| (name.to_owned(), pieces))
            .collect(),
    }
}

#[test]
fn a_manifest_comes_back() {
    for method in [Method::Files, Method::Shards(10)] {
        let manifest = manifest(method);
        let bytes = manifest.write().unwrap();
        assert_eq!(Manifest::read(&bytes).unwrap(), manifest);
    }
}

/// As model_signing 1.1 orders them: by the parts of the path, so `a/b` before `a.txt`.
#[test]
fn resources_are_in_the_order_of_the_parts() {
    let text = String::from_utf8(manifest(Method::Files).write().unwrap()).unwrap();
    assert!(
        text.find("a/b").unwrap() < text.find("a.txt").unwrap(),
        "{text}"
    );
}

fn changed(method: Method, from: &str, to: &str) -> String {
    let text = String::from_utf8(manifest(method).write().unwrap()).unwrap();
    assert!(text.contains(from), "{text}");
    Manifest::read(text.replacen(from, to, 1).as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_statement_that_says_something_else_is_refused() {
    let files = [
        ("a/b", "../b", "leads out of the model"),
        ("a/b", "/b", "leads out of the model"),
        ("a/b", "a.txt", "listed twice"),
        ("0101", "0201", "not that of the list"),
        ("0101", "x101", "is damaged"),
        (
            "\"sha256\",\"digest\"",
            "\"blake3\",\"digest\"",
            "not hashed by SHA-256",
        ),
        (
            "\"hash_type\":\"sha256\"",
            "\"hash_type\":\"blake2\"",
            "hashed by blake2",
        ),
        (
            "\"allow_symlinks\":false",
            "\"allow_symlinks\":true",
            "symbolic links",
        ),
        ("\"files\"", "\"tensors\"", "method tensors is unknown"),
        ("Statement/v1", "Statement/v2", "another type of statement"),
        (
            "signature/v1.0",
            "signature/v9",
            "another type of statement",
        ),
    ];
    for (from, to, expected) in files {
        let error = changed(Method::Files, from, to);
        assert!(error.contains(expected), "{from} to {to}: {error}");
    }
    for (from, to, expected) in [
        ("a:10:12", "a:11:12", "has a gap"),
        ("a:10:12", "a", "names no shard"),
        ("sha256-sharded-10", "sha256", "not hashed by SHA-256"),
        (
            "\"shard_size\":10",
            "\"shard_size\":0",
            "method shards is unknown",
        ),
    ] {
        let error = changed(Method::Shards(10), from, to);
        assert!(error.contains(expected), "{from} to {to}: {error}");
    }
}

#[test]
fn extra_and_missing_names_are_told_safely() {
    let manifest = manifest(Method::Files);
    manifest
        .compare_names(["a.txt", "a/b"].into_iter())
        .unwrap();
    let error = manifest
        .compare_names(["a.txt", "x\u{1b}[2J"].into_iter())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "not signed: x\\u{1b}[2J; signed, but missing: a/b"
    );
}
