//! Documents and the Helm chart name the annotations that the code knows.

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

/// The chart cannot read the table: its schema and the policy on namespaces repeat the names.
#[test]
fn the_chart_knows_the_annotations_that_a_namespace_may_have() {
    let chart = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/chart");
    let names: Vec<String> = hybridge::inject::annotation_table::TABLE
        .iter()
        .map(|row| row.name)
        .filter(|name| *name != "status")
        .map(str::to_owned)
        .collect();
    let schema: serde_json::Value =
        serde_json::from_slice(&std::fs::read(chart.join("values.schema.json")).unwrap()).unwrap();
    let listed =
        &schema["properties"]["namespaceDefaults"]["additionalProperties"]["propertyNames"]["enum"];
    assert_eq!(*listed, serde_json::json!(names));
    let helpers = std::fs::read_to_string(chart.join("templates/_helpers.tpl")).unwrap();
    let list = format!("['{}']", names.join("', '"));
    assert!(
        helpers.contains(&list),
        "_helpers.tpl should contain {list}"
    );
}
