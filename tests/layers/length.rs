//! A file holds one idea, and no more than one can read.

use std::fs;
use std::path::Path;

use crate::source::all_files;

const MAX_LINES: usize = 400;

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
        "tests",
        "loadtest/tests",
    ] {
        let files = all_files(&root.join(folder));
        assert!(files.len() > 5, "{folder}: {} files", files.len());
        for file in files {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            if lines > MAX_LINES {
                long.push(format!("{}: {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "above {MAX_LINES}: {long:#?}");
}
