//! Moving a known server: the flag or the variable of its row in the catalog. A script that starts it is
//! read and never rewritten.

use serde_json::Value;

use super::edit::Edit;
use super::listeners;
use crate::inject::plan::argv::{
    self, Start, find_flag, flag_value, is_listen_address, is_loopback,
};
use crate::inject::plan::catalog::{Binding, Server};
use crate::inject::plan::deny::{Deny, Reason};
use crate::inject::plan::names::LOOPBACK;
use crate::inject::plan::pod;
use crate::inject::plan::trace::Trace;

/// A known server and what is to be moved of it.
pub(super) struct Mover<'a> {
    pub(super) server: &'static Server,
    pub(super) container: &'a Value,
    pub(super) ports: &'a [u16],
    /// Where it is to listen.
    pub(super) address: &'static str,
}

impl Mover<'_> {
    pub(super) fn run(&self, edit: &mut Edit<'_>, trace: &mut Trace) -> Result<Vec<u16>, Deny> {
        match self.server.binding {
            Binding::Fixed => Err(self.not_movable(&format!(
                "runs {}, which always listens on 0.0.0.0 and cannot be moved to loopback; use annotation hybridge.dev/mode: explicit",
                self.server.title
            ))),
            Binding::ArgumentsEnv(variable) => {
                self.step(trace, &format!("--host {} in {variable}", self.address));
                edit.set_env_argument(variable, self.address)?;
                Ok(Vec::new())
            }
            Binding::EnvHostPort(variable) => {
                self.refuse_target(variable, pod::env(self.container, variable).map(host_of))?;
                let port = self.ports.first().copied().unwrap_or_default();
                self.set_env(edit, trace, variable, &format!("{}:{port}", self.address))
            }
            Binding::Env(variable) => {
                self.refuse_target(variable, pod::env(self.container, variable))?;
                self.set_env(edit, trace, variable, self.address)?;
                Ok(listeners::moved_with(self.server, self.container, self.ports, trace))
            }
            Binding::FlagOrEnv { flag, env }
                if find_flag(self.container, flag).is_none()
                    && argv::script_value(self.container, flag).is_none() =>
            {
                self.refuse_target(env, pod::env(self.container, env))?;
                self.set_env(edit, trace, env, self.address)
            }
            Binding::TorchServe => {
                listeners::torchserve(edit, self.container, self.ports, self.address, trace)?;
                Ok(Vec::new())
            }
            Binding::Flag(flag) | Binding::FlagOrEnv { flag, .. } => {
                self.set_flags(edit, trace, &[(flag, self.address)])
            }
            Binding::Triton => {
                let flags = listeners::triton_flags(self.container, self.ports, self.address);
                self.set_flags(edit, trace, &flags)?;
                if argv::start(self.container) == Start::Script {
                    return Ok(Vec::new());
                }
                Ok(listeners::moved_with(self.server, self.container, self.ports, trace))
            }
        }
    }

    fn set_flags(
        &self,
        edit: &mut Edit<'_>,
        trace: &mut Trace,
        flags: &[(&str, &str)],
    ) -> Result<Vec<u16>, Deny> {
        if argv::start(self.container) == Start::Script {
            return self.check_script(flags, trace);
        }
        for (flag, value) in flags {
            self.refuse_target(flag, flag_value(self.container, flag))?;
            self.step(trace, &format!("{flag} {value}"));
            edit.set_flag(flag, value, trace)?;
        }
        Ok(Vec::new())
    }

    fn set_env(
        &self,
        edit: &mut Edit<'_>,
        trace: &mut Trace,
        variable: &str,
        value: &str,
    ) -> Result<Vec<u16>, Deny> {
        let inline = argv::script_value(self.container, variable);
        if self.address == LOOPBACK && inline.is_some_and(|v| !is_loopback(host_of(v))) {
            return Err(self.in_script(variable));
        }
        self.step(trace, &format!("{variable}={value}"));
        edit.set_env(variable, value)?;
        Ok(Vec::new())
    }

    fn step(&self, trace: &mut Trace, what: &str) {
        trace.step(
            format!("bind: {what} in container {}", pod::name(self.container)),
            format!(
                "{} is recognised and must listen on loopback only",
                self.server.title
            ),
        );
    }

    /// A host name where an address to listen on should be is what a client connects to.
    fn refuse_target(&self, setting: &str, value: Option<&str>) -> Result<(), Deny> {
        match value.filter(|value| !is_listen_address(value)) {
            None => Ok(()),
            Some(value) => Err(self.not_movable(&format!(
                "sets {setting} to {value:?}, which names a host and is no address to listen on; for {} give an address such as 0.0.0.0 there, and a client needs no sidecar: label its pod hybridge.dev/inject: disabled",
                self.server.title
            ))),
        }
    }

    fn not_movable(&self, what: &str) -> Deny {
        let name = pod::name(self.container);
        Reason::NotMovable.deny(format!("container {name:?} {what}"))
    }

    /// A script is not rewritten: it must have the loopback address already.
    fn check_script(&self, flags: &[(&str, &str)], trace: &mut Trace) -> Result<Vec<u16>, Deny> {
        let on_loopback = |flag| argv::script_value(self.container, flag).is_some_and(is_loopback);
        let mut wanted = flags.iter().filter(|(_, value)| *value == LOOPBACK);
        if let Some((flag, _)) = wanted.find(|(flag, _)| !on_loopback(flag)) {
            return Err(self.in_script(flag));
        }
        if self.address == LOOPBACK {
            trace.step(
                format!("bind: container {} left alone", pod::name(self.container)),
                "the script that starts it has the loopback address already",
            );
        }
        Ok(Vec::new())
    }

    fn in_script(&self, setting: &str) -> Deny {
        self.not_movable(&format!(
            "starts {} through a shell or a script, which is not rewritten and does not set {setting} to {LOOPBACK} as far as the manifest shows; on 0.0.0.0 it would not start, because the sidecar holds its port. Set {setting} to {LOOPBACK} in the script (and annotation hybridge.dev/bind: none if the script is in the image), name a variable that the script reads in hybridge.dev/bind-env, or use hybridge.dev/mode: explicit",
            self.server.title
        ))
    }
}

/// The host of `host:port`, with or without a scheme.
fn host_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or(authority);
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_every_spelling() {
        for (text, host) in [
            ("0.0.0.0:11434", "0.0.0.0"),
            ("http://ollama.ai.svc:11434/x", "ollama.ai.svc"),
            (":11434", ""),
            ("0.0.0.0", "0.0.0.0"),
            ("[::]:11434", "[::]"),
            ("::", "::"),
        ] {
            assert_eq!(host_of(text), host, "{text}");
        }
    }
}
