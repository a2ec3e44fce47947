//! Where the agent listens, as `SPIFFE_ENDPOINT_SOCKET` writes it (SPIFFE Workload Endpoint §4).

use std::path::PathBuf;

use thiserror::Error;

use crate::redact::{Secret, Shown};

/// Longest path of a Unix socket (unix(7)).
const LONGEST: usize = 107;

/// What keeps a text from being an endpoint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EndpointError {
    /// Two slashes start a host name.
    #[error(
        "`unix://{host}…` names a host, `{host}`, where a path has to begin: write unix:/{host}/…, with one slash or three"
    )]
    Host {
        /// What stands where a host does.
        host: Shown,
    },
    /// Another scheme, or none.
    #[error("`{written}` is no Unix socket: write unix:/run/spire/agent.sock")]
    Scheme {
        /// What was written.
        written: Shown,
    },
    /// A path that may be a key: it would stand in logs and on pages.
    #[error("`{written}`: write the path of a socket there is, as in unix:/run/spire/agent.sock")]
    LikeAKey {
        /// What was written, hidden.
        written: Shown,
    },
    /// A path that no socket can have.
    #[error(
        "`{written}` is not the absolute path of a socket, of at most 107 bytes: write unix:/run/spire/agent.sock"
    )]
    Path {
        /// What was written.
        written: Shown,
    },
}

/// The path of the socket: `unix:/path` and `unix:///path` are the same.
pub fn socket(text: &str) -> Result<PathBuf, EndpointError> {
    let Some(rest) = text.strip_prefix("unix:") else {
        return Err(EndpointError::Scheme {
            written: text.into(),
        });
    };
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(with_host) => {
            let host = with_host.split('/').next().unwrap_or_default();
            return Err(EndpointError::Host { host: host.into() });
        }
        None => rest,
    };
    if Secret::of(text).is_some() {
        return Err(EndpointError::LikeAKey {
            written: text.into(),
        });
    }
    let whole = path.starts_with('/') && path.len() > 1 && path.len() <= LONGEST;
    if whole && !path.contains(['?', '#', '\0']) {
        Ok(path.into())
    } else {
        Err(EndpointError::Path {
            written: text.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_slash_or_three() {
        let path = Ok(PathBuf::from("/run/spire/agent.sock"));
        assert_eq!(socket("unix:/run/spire/agent.sock"), path);
        assert_eq!(socket("unix:///run/spire/agent.sock"), path);
        let wrong = socket("unix://tmp/x").unwrap_err().to_string();
        assert!(wrong.contains("names a host, `tmp`"), "{wrong}");
        for wrong in [
            "/run/x",
            "tcp://127.0.0.1:1",
            "unix:run/x",
            "unix:",
            "unix:/",
            "unix:///",
            "",
        ] {
            assert!(socket(wrong).is_err(), "{wrong}");
        }
        let key = "MC4CAQAwBQYDK2VwBCIEIEFZ2zWuXm0YwrTJp9Qk3sLd7fHb1vN4xR6tC8yU0aGe";
        for form in ["unix:/", "unix:///", "unix:/run/", "unix://", ""] {
            let refused = socket(&format!("{form}{key}")).unwrap_err().to_string();
            assert!(!refused.contains(&key[24..40]), "{refused}");
        }
        assert!(socket(&format!("unix:/{}", "x".repeat(LONGEST))).is_err());
    }
}
