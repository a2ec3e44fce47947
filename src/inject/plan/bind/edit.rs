//! Changing one argument or one variable of a container, in place where it is there already.

use serde_json::json;

use crate::inject::plan::argv::{Form, find_flag, is_loopback};
use crate::inject::plan::deny::{Deny, Reason};
use crate::inject::plan::editor::Editor;
use crate::inject::plan::names::LOOPBACK;
use crate::inject::plan::pod::{self, Place, Slot};
use crate::inject::plan::trace::Trace;

/// One container of the pod being changed.
pub(super) struct Edit<'a> {
    pub(super) editor: &'a mut Editor,
    pub(super) place: Place,
}

impl Edit<'_> {
    fn slot(&self) -> Slot<'_> {
        Slot {
            list: self.place.list,
            index: self.place.index,
            value: pod::at(self.editor.pod(), self.place),
        }
    }

    pub(super) fn set_env(&mut self, variable: &str, value: &str) -> Result<(), Deny> {
        let slot = self.slot();
        let wanted = json!({"name": variable, "value": value});
        let position = pod::array(slot.value, "env")
            .iter()
            .rposition(|e| pod::string(e, "name") == Some(variable));
        if let Some(at) = position {
            let entry = slot.path(&["env", &at.to_string()]);
            self.editor.set(&entry, wanted)
        } else {
            let path = slot.path(&["env"]);
            self.editor.push(&path, wanted)
        }
    }

    /// Puts `--host ADDRESS` into a variable that a script expands into arguments.
    pub(super) fn set_env_argument(&mut self, variable: &str, address: &str) -> Result<(), Deny> {
        let container = self.slot().value;
        let computed = pod::array(container, "env")
            .iter()
            .any(|e| pod::string(e, "name") == Some(variable) && e.get("valueFrom").is_some());
        if computed {
            return Err(Reason::NotMovable.deny(format!(
                    "container {:?} takes {variable} from elsewhere (valueFrom); add --host {LOOPBACK} there and set annotation hybridge.dev/bind: none",
                    pod::name(container)
                )));
        }
        let current = pod::env(container, variable).unwrap_or_default().to_owned();
        let flag = format!("--host {address}");
        if current.contains(&flag) {
            return Ok(());
        }
        let others = ["--host 127.0.0.1", "--host 0.0.0.0"];
        let value = match others.iter().find(|other| current.contains(*other)) {
            Some(other) => current.replace(other, &flag),
            None => format!("{current} {flag}"),
        };
        self.set_env(variable, value.trim_start())
    }

    pub(super) fn set_flag(
        &mut self,
        flag: &str,
        value: &str,
        trace: &mut Trace,
    ) -> Result<(), Deny> {
        let slot = self.slot();
        let Some(at) = find_flag(slot.value, flag) else {
            return self.append_flag(flag, value, trace);
        };
        match at.form {
            Form::Joined => {
                let path = slot.path(&[at.list, &at.index.to_string()]);
                self.editor.set(&path, json!(format!("{flag}={value}")))
            }
            Form::Separate { list, index } => {
                let current = pod::array(slot.value, list)
                    .get(index)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default();
                if value == LOOPBACK && is_loopback(current) {
                    return Ok(());
                }
                let path = slot.path(&[list, &index.to_string()]);
                self.editor.set(&path, json!(value))
            }
            Form::Last => {
                let path = slot.path(&[at.list]);
                self.editor.push(&path, json!(value))
            }
        }
    }

    fn append_flag(&mut self, flag: &str, value: &str, trace: &mut Trace) -> Result<(), Deny> {
        let slot = self.slot();
        if pod::argv(slot.value).is_empty() {
            trace.warn(format!(
                "container {}: has neither command nor args, so the new args replace its image's CMD; add the server's arguments to args if the image relies on CMD",
                slot.name()
            ));
        }
        let path = slot.path(&["args"]);
        self.editor.push(&path, json!(flag))?;
        self.editor.push(&path, json!(value))
    }
}
