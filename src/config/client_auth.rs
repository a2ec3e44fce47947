//! Who may in: `client-auth`, `client-ca` and the allow rules of one listener. Fails closed: a listener
//! that asks for certificates says whose it takes.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use crate::tls::identity::{RuleError, Rules};
use crate::tls::trust::{ClientAuth, Settings, Signatures};

/// The lists of rules, each with what adds one to them.
const RULES: [(Key, AddRule); 4] = [
    (Key::AllowUri, Rules::add_uri),
    (Key::AllowDns, Rules::add_dns),
    (Key::AllowIp, Rules::add_ip),
    (Key::AllowCn, Rules::add_common_name),
];

type AddRule = fn(&mut Rules, &str) -> Result<(), RuleError>;

/// The settings, or `None` if clients are not asked. With an agent it gives the CAs.
pub(super) fn resolve(layer: &Layer, agent: Option<&Path>) -> Result<Option<Settings>, Error> {
    let mode = layer.choice(Key::ClientAuth)?;
    if mode == ClientAuth::Off {
        return refuse_the_rest(layer).map(|()| None);
    }
    Ok(Some(Settings {
        mode,
        ca: match agent {
            Some(agent) => agent.to_owned(),
            None => layer.text(Key::ClientCa).map(PathBuf::from)?,
        },
        crl: crl(layer)?,
        rules: rules(layer)?,
        signatures: layer.choice(Key::Signatures)?,
        profile: layer.choice(Key::Profile)?,
    }))
}

fn refuse_the_rest(layer: &Layer) -> Result<(), Error> {
    let lists = RULES.map(|(key, _)| key);
    let mut asking = [Key::ClientCa, Key::ClientCrl].into_iter().chain(lists);
    let written = asking.find(|key| layer.explicit(*key).is_some());
    let written = match written {
        None if layer.switch(Key::AllowAny)? => Some(Key::AllowAny),
        None if layer.choice::<Signatures>(Key::Signatures)? != Signatures::Any => {
            Some(Key::Signatures)
        }
        written => written,
    };
    match written {
        None => Ok(()),
        Some(key) => Err(Error::Excluded {
            at: layer.place(key),
            other: "client-auth `off`".to_owned(),
            remedy: "no client is asked for a certificate; write client-auth = \"required\", or remove it",
        }),
    }
}

fn crl(layer: &Layer) -> Result<Option<PathBuf>, Error> {
    let given = layer.explicit(Key::ClientCrl);
    let path = given.map(|given| given.text(Key::ClientCrl).map(PathBuf::from));
    path.transpose()
}

fn rules(layer: &Layer) -> Result<Rules, Error> {
    let mut rules = Rules::default();
    for (key, add) in RULES {
        let Some(given) = layer.explicit(key) else {
            continue;
        };
        if key == Key::AllowCn && given.may_hold_a_comma() {
            let problem = "one name with a comma, or several? In a file write a list, such as [\"Acme, Inc\"]; elsewhere several names are `a,b`, without a space";
            return Err(Error::Unusable {
                at: layer.place(key),
                problem: problem.to_owned(),
            });
        }
        for text in given.list(key)? {
            add(&mut rules, &text).map_err(|problem| Error::Rule {
                at: layer.place(key),
                written: text.as_str().into(),
                problem,
            })?;
        }
    }
    match (layer.switch(Key::AllowAny)?, rules.is_empty()) {
        (true, true) => Ok(Rules::any()),
        (false, false) => Ok(rules),
        (false, true) => Err(Error::Missing {
            at: layer.place(Key::AllowUri),
            remedy: super::layer::remedy(Key::AllowUri),
        }),
        (true, false) => Err(Error::Excluded {
            at: layer.place(Key::AllowAny),
            other: "other allow rules".to_owned(),
            remedy: "it lets in every client that client-ca certifies; keep one of the two",
        }),
    }
}
