//! Which objects were made from a template that is in the input too.

use std::collections::HashMap;

use serde_json::Value;

use super::objects::{Cluster, name, namespace};
use crate::inject::manifest::workloads;
use crate::inject::plan::pod;

/// Objects with a pod template, by kind, namespace and name, with their uid.
pub(super) struct Owners<'a>(HashMap<[&'a str; 3], Option<&'a str>>);

impl<'a> Owners<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let with_template = cluster.objects.iter().filter(|object| {
            // A pod is no template of others.
            let found = workloads::find(object);
            found.iter().any(|workload| !workload.pointer.is_empty())
        });
        let entry = |object: &'a Value| {
            let kind = pod::string(object, "kind")?;
            let key = [kind, namespace(object), name(object)];
            Some((key, uid(object.get("metadata")?)))
        };
        Self(with_template.filter_map(entry).collect())
    }

    /// Whether an owner of `object` is here. One that was deleted and made again has another uid.
    pub(super) fn made(&self, object: &Value) -> bool {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let mut references = pod::array(metadata, "ownerReferences").iter();
        references.any(|reference| {
            let kind = pod::string(reference, "kind").unwrap_or_default();
            let name = pod::name(reference);
            match self.0.get(&[kind, namespace(object), name]) {
                None => false,
                Some(_) if name.is_empty() => false,
                Some(of_owner) => match (of_owner, uid(reference)) {
                    (Some(one), Some(other)) => *one == other,
                    _ => true,
                },
            }
        })
    }
}

fn uid(value: &Value) -> Option<&str> {
    pod::string(value, "uid")
}
