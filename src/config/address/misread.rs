//! What people write where an address belongs: URLs, `localhost`, a bare port, a path. Each is told
//! the address that it stands for; none is accepted, so that one spelling stands in every file.

use super::error::AddressError;

/// Who connects to an address, and so which one is suggested where only a port was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Clients {
    /// Anyone, over TLS.
    Network,
    /// This host, in plaintext: the network is asked for by its address.
    Host,
}

/// Refuses what stands for a listening address without being one.
pub(super) fn as_listening(text: &str, clients: Clients) -> Result<(), AddressError> {
    let path = text.starts_with("unix:") || text.starts_with('/') || text.starts_with("./");
    match clients {
        Clients::Network if path => refused(
            text,
            "is a path, but TLS is accepted on TCP",
            "IP:PORT, such as 0.0.0.0:8443".to_owned(),
        ),
        Clients::Host if path => refused(text, "is a path", "127.0.0.1:PORT".to_owned()),
        Clients::Network => common(text, "0.0.0.0"),
        Clients::Host => common(text, "127.0.0.1"),
    }
}

/// Refuses other words for none, where `none` may stand.
pub(crate) fn as_none(text: &str) -> Result<(), AddressError> {
    if text.is_empty() || is_word_for_none(text) {
        return refused(text, "is no address", "none, for no admin port".to_owned());
    }
    Ok(())
}

fn is_word_for_none(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    matches!(
        word.as_str(),
        "disable" | "disabled" | "false" | "no" | "null" | "off"
    )
}

/// Refuses what stands for an upstream without being one.
pub(super) fn as_upstream(text: &str) -> Result<(), AddressError> {
    as_path(text)?;
    common(text, "127.0.0.1")
}

/// Refuses the path of a Unix socket that does not say that it is one.
pub(super) fn as_path(text: &str) -> Result<(), AddressError> {
    let is_path = text.starts_with('/') || text.rsplit('.').next() == Some("sock");
    if is_path && !text.contains("://") {
        let form = match text.strip_prefix('/') {
            Some(_) => format!("unix:{text}"),
            None => "unix:/PATH, from the root".to_owned(),
        };
        return refused(text, "is a path", form);
    }
    Ok(())
}

/// `any` stands for the address where only a port or `*` was written.
fn common(text: &str, any: &str) -> Result<(), AddressError> {
    if let Some((scheme, rest)) = text.split_once("://") {
        // Behind user and password, which are never repeated; a password may have a slash in it.
        let rest = rest.rsplit('@').next().unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let port = match scheme {
            "http" | "ws" => "80",
            "https" | "wss" => "443",
            _ => "PORT",
        };
        return refused(
            &format!("{scheme}://{authority}"),
            "is a URL, not an address",
            numeric(authority, port, any),
        );
    }
    if text.parse::<u16>().is_ok() {
        return refused(
            text,
            "is a port without an address",
            format!("{any}:{text}"),
        );
    }
    if text == "none" || is_word_for_none(text) {
        return refused(text, "is no address", format!("{any}:PORT"));
    }
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    match host {
        "*" => refused(text, "has no IP address", numeric(text, "PORT", any)),
        host if host.eq_ignore_ascii_case("localhost") => {
            let what = "is a name, and names are not looked up";
            refused(text, what, numeric(text, "PORT", any))
        }
        _ => Ok(()),
    }
}

/// The address of an authority; `IP` stands for a name that only a look-up could replace.
fn numeric(authority: &str, port: &str, any: &str) -> String {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, digits)) if digits.parse::<u16>().is_ok() => (host, digits),
        _ => (authority, port),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare {
        "" | "*" => format!("{any}:{port}"),
        name if name.eq_ignore_ascii_case("localhost") => format!("127.0.0.1:{port}"),
        ip if ip.parse::<std::net::IpAddr>().is_ok() => format!("{host}:{port}"),
        _ => format!("IP:{port} with the IP address of that host"),
    }
}

fn refused(text: &str, what: &'static str, form: String) -> Result<(), AddressError> {
    Err(AddressError::Misread {
        text: text.into(),
        what,
        form: form.into(),
    })
}
