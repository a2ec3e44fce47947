//! Documents and the Helm chart name the annotations that the code knows.

use hybridge::inject::ANNOTATIONS;

#[test]
fn the_annotations_table_of_the_documentation_is_the_codes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kubernetes.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, table) = text
        .split_once("| annotation | default | meaning |\n|---|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let names: Vec<_> = cells
        .map(|row| {
            assert_eq!(row.len(), 3, "{row:?}");
            row[0]
                .strip_prefix("| `hybridge.dev/")
                .unwrap()
                .trim_end_matches('`')
                .to_owned()
        })
        .collect();
    assert_eq!(names, ANNOTATIONS);
}

/// The chart cannot read the table: its schema and the policy on namespaces repeat the names.
#[test]
fn the_chart_knows_the_annotations_that_a_namespace_may_have() {
    let chart = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/chart");
    let names: Vec<String> = ANNOTATIONS
        .iter()
        .filter(|name| **name != "status")
        .map(|name| (*name).to_owned())
        .collect();
    let schema: serde_json::Value =
        serde_json::from_slice(&std::fs::read(chart.join("values.schema.json")).unwrap()).unwrap();
    let listed =
        &schema["properties"]["namespaceDefaults"]["additionalProperties"]["propertyNames"]["enum"];
    // Only a pod says that; where its namespace does, the API server writes it on the pod.
    let in_file = names.iter().filter(|name| *name != "allow-shared-pid");
    assert_eq!(*listed, serde_json::json!(in_file.collect::<Vec<_>>()));
    let helpers = std::fs::read_to_string(chart.join("templates/_helpers.tpl")).unwrap();
    let list = format!("['{}']", names.join("', '"));
    assert!(
        helpers.contains(&list),
        "_helpers.tpl should contain {list}"
    );
}

/// Pod and NetworkPolicy have fixed ports: with another one, or on another address, nothing would reach the injector.
#[test]
fn the_chart_takes_only_the_ports_that_it_opens() {
    let chart = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/chart");
    let read = |name: &str| std::fs::read_to_string(chart.join(name)).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let deployment = read("templates/deployment.yaml");
    let policy = read("templates/network-policy.yaml");
    for (value, port) in [("listen", 9443), ("admin", 15400)] {
        let every = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        assert_eq!(
            schema["properties"][value]["enum"],
            serde_json::json!(every)
        );
        assert!(deployment.contains(&format!("containerPort: {port}\n")));
        assert!(policy.contains(&format!("port: {port}\n")));
        assert!(read("values.yaml").contains(&format!("\n{value}: 0.0.0.0:{port}\n")));
    }
}
