//! Where the connections of an egress go: to one target, or to those that apps name and rules allow.

use super::egress_error::EgressError;
use super::error::Error;
use super::key::Key;
use super::layer::{Layer, remedy};
use crate::proxy::egress::{Capture, Destination, Named, TargetRule, Template};
use crate::proxy::{Target, TargetError};

pub(super) fn resolve(layer: &Layer) -> Result<Destination, Error> {
    let capture: Capture = layer.choice(Key::EgressCapture)?;
    if capture == Capture::None {
        return one(layer).map(Destination::Target);
    }
    let tunnel = layer.switch(Key::EgressTunnel)?;
    Ok(Destination::Named(Named {
        capture,
        via: via(layer, capture, tunnel)?,
        allowed: allowed(layer)?,
        tunnel,
    }))
}

fn one(layer: &Layer) -> Result<Target, Error> {
    if layer.explicit(Key::TargetsAllowed).is_some() {
        return Err(Error::Excluded {
            at: layer.place(Key::TargetsAllowed),
            other: "capture `none`".to_owned(),
            remedy: "apps name no targets then; write capture = \"http-proxy\" or \"socks5\", or remove it",
        });
    }
    if layer.switch(Key::EgressTunnel)? {
        return Err(Error::Excluded {
            at: layer.place(Key::EgressTunnel),
            other: "capture `none`".to_owned(),
            remedy: "the app names no target for the far side; write capture = \"socks5\", \"redirect\" or \"http-proxy\", or remove it",
        });
    }
    let key = Key::EgressTarget;
    let written = layer.text(key)?;
    let target: Result<Target, _> = written.parse();
    target.map_err(|problem| wrong_target(layer, key, &written, problem))
}

fn via(layer: &Layer, capture: Capture, tunnel: bool) -> Result<Option<Template>, Error> {
    let key = Key::EgressTarget;
    let Some(given) = layer.explicit(key) else {
        if !tunnel {
            return Ok(None);
        }
        return Err(Error::Missing {
            at: layer.place(key),
            remedy: "say where the far end of the tunnel listens, for example {host}:15443",
        });
    };
    let written = given.text(key)?;
    let via: Result<Template, _> = written.parse();
    let via = via.map_err(|problem| wrong_target(layer, key, written, problem))?;
    if !tunnel && (capture == Capture::HttpProxy || !via.has_host()) {
        return Err(Error::Excluded {
            at: layer.place(key),
            other: "capture".to_owned(),
            remedy: "each connection goes where the app says; remove one of the two, or write tunnel = true, which asks the target for it",
        });
    }
    Ok(Some(via))
}

fn allowed(layer: &Layer) -> Result<Vec<TargetRule>, Error> {
    let key = Key::TargetsAllowed;
    let rules = layer.list(key)?;
    let rule = |text: &String| {
        text.parse().map_err(|problem| EgressError::TargetRule {
            at: layer.place(key),
            written: text.as_str().into(),
            problem,
        })
    };
    let rules: Vec<_> = rules.iter().map(rule).collect::<Result<_, _>>()?;
    if rules.is_empty() {
        return Err(Error::Missing {
            at: layer.place(key),
            remedy: remedy(key),
        });
    }
    Ok(rules)
}

pub(super) fn wrong_target(layer: &Layer, key: Key, written: &str, problem: TargetError) -> Error {
    EgressError::Target {
        at: layer.place(key),
        written: written.into(),
        problem,
    }
    .into()
}
