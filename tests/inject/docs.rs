//! The annotations table of docs/kubernetes.md is the one in the code.

#[test]
fn the_annotations_table_of_the_documentation_is_the_codes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kubernetes.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = hybridge::inject::annotation_table::markdown();
    assert!(
        text.contains(&table),
        "docs/kubernetes.md should contain:\n{table}"
    );
}
