//! Labels and annotations of the injector beside a workload's pod template: controllers copy them to no pod, so neither the
//! webhook nor a plan sees them, and a misspelt one is refused nowhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kinds;
use super::lists::Item;
use crate::inject::plan::names::PREFIX;
use crate::inject::plan::pod;
use crate::redact::Shown;

/// What one object says beside its templates.
pub(crate) struct Misplaced {
    title: String,
    names: String,
    /// The metadata that reaches pods.
    places: String,
}

/// One finding for each object.
pub(crate) fn find(items: &[Item<'_>]) -> Vec<Misplaced> {
    items.iter().filter_map(find_in).collect()
}

fn find_in(item: &Item<'_>) -> Option<Misplaced> {
    // A pod is its own template.
    let templates = kinds::templates(item.group(), item.kind).iter();
    let templates: Vec<&str> = templates.copied().filter(|t| !t.is_empty()).collect();
    let outside = templates.iter().flat_map(|template| above(template));
    let names: BTreeSet<&str> = outside
        .flat_map(|place| kinds::expand(item.value, place))
        .filter_map(|pointer| item.value.pointer(&pointer))
        .flat_map(names_of)
        .collect();
    if names.is_empty() {
        return None;
    }
    let name = item.value.get("metadata").map_or("", pod::name);
    let names: Vec<String> = names
        .into_iter()
        .map(|n| Shown::from(n).to_string())
        .collect();
    let places = templates.iter().map(|template| {
        format!(
            "{}.metadata",
            template.trim_start_matches('/').replace('/', ".")
        )
    });
    Some(Misplaced {
        title: format!("{}/{}", item.kind, Shown::from(name)),
        names: names.join(", "),
        places: places.collect::<Vec<_>>().join(" and "),
    })
}

/// Every object around a template, the whole one first: a CronJob has its template in one of a Job.
fn above(template: &str) -> impl Iterator<Item = &str> {
    template
        .match_indices('/')
        .filter_map(|(end, _)| template.get(..end))
}

fn names_of(object: &Value) -> impl Iterator<Item = &str> {
    ["labels", "annotations"]
        .into_iter()
        .filter_map(|key| pod::metadata(object, key))
        .flat_map(|map| map.keys().map(String::as_str))
        .filter(|name| name.starts_with(PREFIX))
}

impl Misplaced {
    /// The line of `inject check` about it.
    pub(crate) fn note(&self, namespace: &str) -> String {
        self.said(&format!("{} in {namespace}", self.title))
    }

    /// The line about it.
    pub(crate) fn warning(&self) -> String {
        format!("warning: {}", self.said(&self.title))
    }

    fn said(&self, title: &str) -> String {
        let Self { names, places, .. } = self;
        format!("{title}: {names} beside the pod template is not read: move it to {places}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inject::manifest::lists;

    #[test]
    fn what_stands_beside_a_template_is_found_at_every_level() {
        let said = |object: &Value| {
            let found = find(&lists::items(object).items);
            found.iter().map(Misplaced::warning).collect::<Vec<_>>()
        };
        let of = json!({"name": "a", "labels": {"hybridge.dev/inject": "disabled"}, "annotations": {"hybridge.dev/plicy": "x", "other/policy": "y"}});
        let template = json!({"metadata": of, "spec": {}});
        let deployment = |metadata: &Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}});
        assert_eq!(
            said(&deployment(&of)),
            [
                "warning: Deployment/a: hybridge.dev/inject, hybridge.dev/plicy beside the pod template is not read: move it to spec.template.metadata"
            ]
        );
        assert!(said(&deployment(&json!({"name": "a"}))).is_empty());
        let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {"jobTemplate": {"metadata": of, "spec": {"template": template}}}});
        assert_eq!(
            said(&cron),
            [
                "warning: CronJob/c: hybridge.dev/inject, hybridge.dev/plicy beside the pod template is not read: move it to spec.jobTemplate.spec.template.metadata"
            ]
        );
        for own in [
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": of, "spec": {}}),
            // KServe copies them to the pods.
            json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": of, "spec": {}}),
        ] {
            assert!(said(&own).is_empty(), "{own}");
        }
    }
}
