//! A file holds one idea, and no more than one can read.

use std::fs;
use std::path::Path;

use crate::source::all_files;

const MAX_LINES: usize = 300;
/// Cases of one subject are read one at a time.
const MAX_LINES_OF_TESTS: usize = 400;

#[test]
fn no_file_is_longer_than_one_can_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut long = Vec::new();
    for folder in [
        "src",
        "loadtest/src",
        "scan/src",
        "seal/src",
        "pkcs11/src",
        "page/src",
        "redact/src",
        "groups/src",
        "json/src",
        "pem/src",
        "names/src",
        "tests",
        "loadtest/tests",
        "seal/tests",
        "pkcs11/tests",
        "benches",
    ] {
        let files = all_files(&root.join(folder));
        assert!(!files.is_empty(), "{folder}: no files");
        for file in files {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            let limit = limit(file.strip_prefix(root).unwrap());
            if lines > limit {
                long.push(format!(
                    "{}: {lines} lines, {limit} allowed",
                    file.display()
                ));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

fn limit(file: &Path) -> usize {
    let is_test = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
    if file.iter().any(is_test) {
        MAX_LINES_OF_TESTS
    } else {
        MAX_LINES
    }
}

/// The check itself must be able to fail.
#[test]
fn unit_tests_and_test_programs_have_the_limit_of_tests() {
    for (file, expected) in [
        ("src/tls/stream.rs", MAX_LINES),
        ("src/tls/stream/tests.rs", MAX_LINES_OF_TESTS),
        ("redact/src/tests/keys.rs", MAX_LINES_OF_TESTS),
        ("loadtest/tests/tool/golden.rs", MAX_LINES_OF_TESTS),
        ("benches/instructions/main.rs", MAX_LINES),
    ] {
        assert_eq!(limit(Path::new(file)), expected, "{file}");
    }
}
