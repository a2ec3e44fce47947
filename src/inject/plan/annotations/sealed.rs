//! A sealed model that is opened before the app starts: where it lies, where the app finds it, who opens
//! it, who signed it, and how large it is.

use super::reader::{NONE, Reader, wrong};
use super::source::{self, Source};
use crate::inject::plan::deny::Deny;
use crate::inject::plan::quantity::Quantity;

/// What the annotations `sealed…` ask for.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// Volume of the pod with the sealed files.
    pub(crate) volume: String,
    /// Directory in it; empty: its top.
    pub(crate) directory: String,
    /// Where the app finds the opened model.
    pub(crate) mount: String,
    /// What opens it.
    pub(crate) identity: Identity,
    /// Public keys of the signer, ECDSA and ML-DSA.
    pub(crate) signer: [Source; 2],
    /// Of the volume in memory.
    pub(crate) size: String,
}

/// Where the identity comes from.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A Secret.
    Secret(Source),
    /// The Confidential Data Hub of a confidential pod.
    Url(String),
}

impl Sealed {
    pub(crate) fn bytes(&self) -> u64 {
        Quantity::parse(&self.size).map_or(0, Quantity::whole)
    }
}

/// Bytes of the volume at least.
const LEAST: u64 = 1 << 20;
/// Bytes of the volume at most: the largest machines have some tens of TiB.
const MOST: u64 = 1 << 50;
const REST: [&str; 3] = ["sealed-identity", "sealed-signer", "sealed-size"];

pub(super) fn parse(read: &Reader<'_>) -> Result<Option<Sealed>, Deny> {
    let what = "write VOLUME=PATH or VOLUME/DIRECTORY=PATH: a volume of the pod with the sealed files, and the absolute path where the app finds the opened model; or none";
    let place = |text: &str| match text {
        NONE => Some(None),
        text => place(text).map(Some),
    };
    let given = read.parsed("sealed", what, place)?.flatten();
    let Some((volume, directory, mount)) = given else {
        let rest = REST.iter().find(|name| read.own(name).is_some());
        return match rest {
            Some(name) => Err(wrong(
                name,
                "has a meaning only with hybridge.dev/sealed; add that or remove this",
            )),
            None => Ok(None),
        };
    };
    let url = read.text(REST[0]).map(url).transpose()?.flatten();
    let identity = match url {
        Some(url) => Some(Identity::Url(url)),
        None => source::read_secret(read, "sealed-identity", "identity.txt")?.map(Identity::Secret),
    };
    let missing = |name: &'static str, what: &'static str| {
        wrong(
            "sealed",
            &format!("needs annotation hybridge.dev/{name}: {what}"),
        )
    };
    Ok(Some(Sealed {
        volume,
        directory,
        mount,
        identity: identity.ok_or_else(|| {
            missing(
                REST[0],
                "secret/NAME with identity.txt, or the loopback URL of the Confidential Data Hub",
            )
        })?,
        signer: source::read_pair(read, REST[1], ["ec.pub", "mldsa.pub"])?.ok_or_else(|| {
            missing(
                REST[1],
                "configmap/NAME or secret/NAME with ec.pub and mldsa.pub",
            )
        })?,
        size: read
            .quantity(REST[2])?
            .ok_or_else(|| missing(REST[2], "memory for the opened model, such as 16Gi"))
            .and_then(size)?,
    }))
}

fn place(text: &str) -> Option<(String, String, String)> {
    let (from, mount) = text.split_once('=')?;
    let (volume, directory) = from.split_once('/').unwrap_or((from, ""));
    let plain = |path: &str| {
        path.chars()
            .all(|c| c.is_ascii_graphic() && c != ':' && c != '$')
    };
    let parts = |path: &str| path.split('/').all(|part| !["", ".", ".."].contains(&part));
    let below = mount.strip_prefix('/').filter(|rest| parts(rest))?;
    let valid = !volume.is_empty() && (directory.is_empty() || parts(directory));
    let owned = || (volume.to_owned(), directory.to_owned(), mount.to_owned());
    (valid && plain(volume) && plain(directory) && plain(below)).then(owned)
}

/// The URL of an identity. What `open` would refuse is refused here; so is what the kubelet would expand.
fn url(text: &str) -> Result<Option<String>, Deny> {
    if !text.contains("://") {
        return Ok(None);
    }
    if hybridge_seal::identity::is_loopback_url(text) && !text.contains('$') {
        return Ok(Some(text.to_owned()));
    }
    // Not repeated: it may have a password in it.
    Err(wrong(
        REST[0],
        "is a URL that the init container does not fetch from; write http://127.0.0.1:PORT/PATH, http://[::1]:PORT/PATH or http://localhost:PORT/PATH, without user and `$`, or secret/NAME",
    ))
}

/// The size of the volume. Kubernetes would take a tenth of a byte, and more than any node has.
fn size(text: String) -> Result<String, Deny> {
    let bytes = Quantity::parse(&text).map_or(0, Quantity::whole);
    if bytes < LEAST {
        return Err(wrong(
            REST[2],
            &format!(
                "is {text:?}, less than 1Mi, in which no model fits (`m` is a thousandth of a byte); write memory for the opened model, such as 100Mi or 16Gi"
            ),
        ));
    }
    if bytes > MOST {
        return Err(wrong(
            REST[2],
            &format!(
                "is {text:?}, more than 1Pi, which no node has; write memory for the opened model, such as 16Gi"
            ),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_volume_a_directory_and_a_path() {
        let of = |text| place(text).map(|(volume, directory, mount)| [volume, directory, mount]);
        let expected = |parts: [&str; 3]| Some(parts.map(str::to_owned));
        assert_eq!(of("models=/models"), expected(["models", "", "/models"]));
        assert_eq!(of("pvc/a/b=/m/x"), expected(["pvc", "a/b", "/m/x"]));
        for wrong in [
            "",
            "models",
            "=/m",
            "v=",
            "v=/",
            "v=m",
            "v=/a/../b",
            "v/..=/m",
            "v//a=/m",
            "v=/$(X)",
            "v=/a b",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
