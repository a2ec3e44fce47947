//! The map of the source names what there is.

use std::fs;
use std::path::Path;

/// Every path in `docs/architecture.md` exists.
#[test]
fn the_map_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let is_path = |word: &&str| {
        let roots = [
            "src/",
            "loadtest/",
            "scan/",
            "seal/",
            "page/",
            "pkcs11/",
            "redact/",
            "groups/",
            "json/",
            "pem/",
            "names/",
            "tests/",
            "docs/",
            "config/",
        ];
        roots.iter().any(|root| word.starts_with(root)) && !word.contains(char::is_whitespace)
    };
    let paths: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(paths.len() > 50, "{paths:?}");
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| !root.join(path).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
