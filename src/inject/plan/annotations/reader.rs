//! Who says the value of an annotation, which of two counts, and how messages call it.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use crate::inject::plan::deny::{Deny, Reason, pods_own};
use crate::inject::plan::known_annotations::{is_known, unknown_message};
use crate::inject::plan::names::{NAMESPACE_PREFIX, PREFIX};
use crate::inject::plan::pod;
use crate::inject::plan::settings::{Defaults, Settings};
use crate::redact::{Shown, scrub};

/// Characters of a value that a refusal repeats.
const LONGEST_VALUE: usize = 200;
/// What a pod says instead of a value that it does not want of its namespace.
pub(crate) const NONE: &str = "none";
/// Places where one sidecar listens at most. Each costs memory, and no pod has nearly as many.
const MOST_LISTENERS: usize = 256;

/// Where a value is looked for: the pod, its namespace, the cluster.
pub(super) struct Reader<'a> {
    pod: &'a Value,
    namespace: Option<&'a str>,
    /// What the operator wrote for the pod's namespace.
    of_file: Option<&'a BTreeMap<String, String>>,
    defaults: &'a Defaults,
    /// Annotations that are left out, each with the one nearer to the pod that it contradicts.
    left_out: RefCell<Vec<(String, String)>>,
}

/// Who says a value. The nearer it is to the pod, the more it counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Level {
    Cluster,
    /// The operator's file of defaults by namespace.
    File,
    /// An annotation of the namespace, which the API server copied to the pod.
    Namespace,
    Pod,
}

impl<'a> Reader<'a> {
    pub(super) fn new(pod: &'a Value, namespace: Option<&'a str>, settings: &'a Settings) -> Self {
        let file = settings.namespace_defaults.as_ref();
        Self {
            pod,
            namespace,
            of_file: file.and_then(|defaults| defaults.of(namespace?)),
            defaults: &settings.defaults,
            left_out: RefCell::default(),
        }
    }

    pub(super) fn refuse_unknown(&self) -> Result<(), Deny> {
        let annotations = pod::metadata(self.pod, "annotations").into_iter().flatten();
        for (key, _) in annotations {
            let name = key
                .strip_prefix(PREFIX)
                .or_else(|| key.strip_prefix(NAMESPACE_PREFIX));
            if let Some(name) = name.filter(|name| !is_known(name)) {
                return Err(Reason::UnknownAnnotation.deny(unknown_message(name)));
            }
        }
        Ok(())
    }

    /// The pod's own value, else its namespace's, else the cluster's.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.said(name).map(|(_, text)| text)
    }

    /// Who says it; `None`, which is less than any other, if nobody does.
    pub(super) fn level(&self, name: &str) -> Option<Level> {
        self.said(name).map(|(level, _)| level)
    }

    /// A value that means nothing in such a pod: a slip if the pod itself says it; what its namespace says counts for
    /// other pods.
    pub(super) fn pass_over(&self, name: &str, problem: &str) -> Result<(), Deny> {
        match self.own(name) {
            Some(_) => Err(wrong(name, problem)),
            None => Ok(()),
        }
    }

    /// Whether `name` is nearer to the pod than what it contradicts; both from one place are a slip.
    pub(super) fn outranks(&self, name: &str, other: &str, problem: &str) -> Result<bool, Deny> {
        let order = self.level(name).cmp(&self.level(other));
        match order {
            Ordering::Less => self.leave_out(name, other),
            Ordering::Greater => self.leave_out(other, name),
            Ordering::Equal => return Err(wrong(name, problem)),
        }
        Ok(order == Ordering::Greater)
    }

    /// Whether the pod itself says `name`, which its namespace's `other` contradicts; a slip if it says both.
    pub(super) fn own_outranks(
        &self,
        name: &str,
        other: &str,
        problem: &str,
    ) -> Result<bool, Deny> {
        match self.own(name) {
            Some(_) => self.outranks(name, other, problem),
            None => Ok(false),
        }
    }

    pub(super) fn leave_out(&self, name: &str, other: &str) {
        let pair = (name.to_owned(), other.to_owned());
        let mut pairs = self.left_out.borrow_mut();
        // A default of the injector's own needs no word.
        if self.level(name).is_some() && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }

    /// What was left out, and for what, as messages call it.
    pub(super) fn left_out(&self) -> Vec<(String, String)> {
        let pairs = self.left_out.take().into_iter();
        pairs
            .map(|(name, other)| (self.title(&name), self.title(&other)))
            .collect()
    }

    /// How messages call an annotation: with the place where its value stands, unless that is the pod.
    pub(super) fn title(&self, name: &str) -> String {
        let namespace = || match self.namespace {
            Some(name) => format!("of namespace {}", Shown::from(name)),
            None => "of the namespace".to_owned(),
        };
        let place = match self.level(name) {
            None | Some(Level::Pod) => return pods_own(name),
            Some(Level::Namespace) => namespace(),
            Some(Level::File) => format!("{} (namespace defaults of the injector)", namespace()),
            Some(Level::Cluster) => "among the defaults of the injector".to_owned(),
        };
        format!("{} {place}", pods_own(name))
    }

    /// Whether it is taken away in so many words.
    pub(super) fn is_none(&self, name: &str) -> bool {
        self.text(name) == Some(NONE)
    }

    fn said(&self, name: &str) -> Option<(Level, &str)> {
        let copied = || self.as_written(NAMESPACE_PREFIX, name).map(str::trim);
        let of_file = || Some(self.of_file?.get(name)?.trim());
        let own = self.own(name).map(|text| (Level::Pod, text));
        own.or_else(|| Some((Level::Namespace, copied()?)))
            .or_else(|| Some((Level::File, of_file()?)))
            .or_else(|| Some((Level::Cluster, self.defaults.get(name)?)))
    }

    pub(super) fn own(&self, name: &str) -> Option<&str> {
        self.as_written(PREFIX, name).map(str::trim)
    }

    /// Without trimming it.
    pub(super) fn as_written(&self, prefix: &str, name: &str) -> Option<&str> {
        pod::metadata(self.pod, "annotations")?
            .get(&format!("{prefix}{name}"))?
            .as_str()
    }
}

/// A value as a message repeats it: without what may be a key, and not at any length.
pub(super) fn quoted(text: &str) -> String {
    let clean = scrub(text);
    match clean.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{:?}", format!("{}…", &clean[..end])),
        None => format!("{clean:?}"),
    }
}

/// What the sidecar would say of a text.
pub(super) fn parse_as<T: FromStr<Err: Display>>(text: &str) -> Option<String> {
    text.parse::<T>().err().map(|problem| problem.to_string())
}

/// Refuses more entries than a sidecar has listeners for.
pub(super) fn refuse_many(name: &str, entries: &[String]) -> Result<(), Deny> {
    if entries.len() <= MOST_LISTENERS {
        return Ok(());
    }
    Err(wrong(
        name,
        &format!(
            "has {} entries, and a sidecar listens at {MOST_LISTENERS} places at most; leave out what nobody connects to",
            entries.len()
        ),
    ))
}

/// Refuses the value of an annotation.
pub(super) fn wrong(name: &str, what: &str) -> Deny {
    Reason::AnnotationValue.about(name, &format!(" {what}"))
}
