//! `[listener.signature]`: whose signatures a listener asks of requests.

use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use crate::proxy::Protocol;
use crate::signature::{ResponseSettings, Settings, SignatureKind, SignatureMode, is_component};

const OTHERS: [Key; 6] = [
    Key::SignatureKeys,
    Key::SignatureRequire,
    Key::SignatureCover,
    Key::SignatureMaxAge,
    Key::SignatureSkew,
    Key::SignatureReplayTable,
];

/// The settings, or `None` if requests are not asked for signatures.
pub(super) fn resolve(layer: &Layer) -> Result<Option<Settings>, Error> {
    let mode = layer.choice(Key::Signature)?;
    if mode == SignatureMode::Off {
        let written = OTHERS.iter().find(|key| layer.explicit(**key).is_some());
        return match written {
            None => Ok(None),
            Some(key) => Err(Error::Excluded {
                at: layer.place(*key),
                other: "signature `off`".to_owned(),
                remedy: "no signature is looked at; write mode = \"require\" in [listener.signature], or remove it",
            }),
        };
    }
    let kinds = list(layer, Key::SignatureRequire)?;
    let require: Result<Vec<SignatureKind>, _> = kinds.iter().map(|kind| kind.parse()).collect();
    let refused = |key, problem| Error::Refused {
        at: layer.place(key),
        problem,
    };
    let require = require.map_err(|_| {
        let problem =
            "each is classical or ml-dsa: write [\"classical\", \"ml-dsa\"], or one of them";
        refused(Key::SignatureRequire, problem)
    })?;
    let cover = list(layer, Key::SignatureCover)?;
    if cover.iter().any(|name| !is_component(name)) {
        let problem = "each is @method, @authority, @scheme, @target-uri, @request-target, @path, @query or a field's name in lower case";
        return Err(refused(Key::SignatureCover, problem));
    }
    Ok(Some(Settings {
        mode,
        keys: layer.text(Key::SignatureKeys)?.into(),
        require,
        cover,
        max_age: layer.duration(Key::SignatureMaxAge)?,
        skew: layer.duration(Key::SignatureSkew)?,
        replay_table: layer.count(Key::SignatureReplayTable)?,
    }))
}

/// What responses are signed with, if they are.
pub(super) fn responses(layer: &Layer) -> Result<Option<ResponseSettings>, Error> {
    let written = |key| layer.explicit(key).is_some();
    if written(Key::SignatureResponses) {
        needs_http(layer)?;
        let model = written(Key::SignatureModel).then(|| layer.text(Key::SignatureModel));
        return Ok(Some(ResponseSettings {
            keys: layer.text(Key::SignatureResponses)?.into(),
            model: model.transpose()?.map(Into::into),
            sse_comment: layer.switch(Key::SignatureSseComment)?,
        }));
    }
    let others = [Key::SignatureModel, Key::SignatureSseComment];
    match others.into_iter().find(|key| written(*key)) {
        None => Ok(None),
        Some(key) => Err(Error::Refused {
            at: layer.place(key),
            problem: "no response is signed: name a directory of keys in responses, or remove it",
        }),
    }
}

/// Bytes of TCP have no responses: nothing would be signed.
fn needs_http(layer: &Layer) -> Result<(), Error> {
    let protocol: Protocol = layer.choice(Key::Protocol)?;
    if protocol == Protocol::Http {
        return Ok(());
    }
    Err(Error::Excluded {
        at: layer.place(Key::SignatureResponses),
        other: format!("protocol `{}`", protocol.name()),
        remedy: "bytes of TCP have no responses to sign; write protocol = \"http\", or remove it",
    })
}

/// A list that says something: an empty one would ask for nothing.
fn list(layer: &Layer, key: Key) -> Result<Vec<String>, Error> {
    let items = layer.list(key)?;
    if items.is_empty() {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "an empty list would ask for nothing: name at least one, or remove it",
        });
    }
    Ok(items)
}
