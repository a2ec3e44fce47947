//! What an endpoint is, and what messages show of one.

#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn an_endpoint_is_a_url_to_which_the_signal_is_added() {
    for (text, shown, target) in [
        (
            "http://127.0.0.1:4318",
            "http://127.0.0.1:4318",
            "/v1/traces",
        ),
        (
            "http://LocalHost:4318/",
            "http://localhost:4318",
            "/v1/traces",
        ),
        (
            "https://otel.example",
            "https://otel.example:443",
            "/v1/traces",
        ),
        (
            "http://[::1]:4318/otlp/",
            "http://[::1]:4318/otlp",
            "/otlp/v1/traces",
        ),
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.url(), shown);
        assert_eq!(endpoint.target(), target);
        assert_eq!(
            format!("{}{target}", endpoint.origin()),
            format!("{shown}/v1/traces")
        );
        assert_eq!(shown.parse(), Ok(endpoint));
    }
}

#[test]
fn no_message_shows_a_path() {
    let endpoint: Endpoint = "https://otel/v/t0ken".parse().unwrap();
    assert_eq!(endpoint.to_string(), "https://otel:443/(path, not shown)");
    for (text, shown) in [
        ("http://otel:4318", "http://otel:4318"),
        ("http://otel:4318/", "http://otel:4318/"),
        ("https://otel/t0ken", "https://otel/(path, not shown)"),
        ("otel:4318/t0ken", "otel:4318/(path, not shown)"),
        ("https://otel\\t0ken", "https://otel\\(path, not shown)"),
        ("otel:4318/t0ken/http://a", "otel:4318/(path, not shown)"),
        ("http:/otel/t0ken", "http:/(path, not shown)"),
        (
            "http://otel/t0ken?key=1",
            "http://otel/(path, not shown)?(query, not shown)",
        ),
        (
            "http://otel/t0ken#key",
            "http://otel/(path, not shown)#(query, not shown)",
        ),
        (
            "http://user:12/secret@otel:4318/t0ken",
            "http://(userinfo, not shown)@otel:4318/(path, not shown)",
        ),
    ] {
        assert_eq!(Endpoint::shown(text), shown);
    }
    let long = format!("http://{}/t0ken", "a".repeat(70));
    assert!(!Endpoint::shown(&long).contains("t0ken"));
}

#[test]
fn only_loopback_is_local() {
    let is_local = |text: &str| text.parse::<Endpoint>().unwrap().is_local();
    assert!(is_local("http://127.0.0.9:1") && is_local("http://[::1]:1"));
    assert!(is_local("http://localhost:1"));
    assert!(!is_local("http://10.0.0.1:1") && !is_local("http://otel:4318"));
    assert!(!is_local("http://localhost.example:1"));
}

#[test]
fn what_leads_to_this_host_is_known_by_address() {
    let addresses = |text: &str| text.parse::<Endpoint>().unwrap().addresses();
    assert_eq!(
        addresses("https://127.0.0.1:1"),
        ["127.0.0.1:1".parse().unwrap()]
    );
    let both = ["127.0.0.1:443", "[::1]:443"].map(|text| text.parse().unwrap());
    assert_eq!(addresses("https://localhost"), both);
    assert!(addresses("https://otel:4318").is_empty());
}

#[test]
fn the_port_of_grpc_is_worth_a_warning() {
    let warns = |text: &str| text.parse::<Endpoint>().unwrap().warning().is_some();
    assert!(warns("http://127.0.0.1:4317") && warns("https://otel:4317/otlp"));
    assert!(!warns("http://127.0.0.1:4318") && !warns("https://otel"));
}

#[test]
fn what_is_none_says_why() {
    for (text, expected) in [
        ("127.0.0.1:4318", EndpointError::Url),
        ("otel", EndpointError::Url),
        ("http://:4318", EndpointError::Url),
        ("http://otel:0", EndpointError::Url),
        ("http://otel:99999", EndpointError::Url),
        ("http://otel:", EndpointError::Url),
        ("grpc://otel:4317", EndpointError::Scheme),
        ("http://me:secret@otel:4318", EndpointError::User),
        ("http://user:12/secret@otel:4318", EndpointError::User),
        ("http://otel:4318/?key=1", EndpointError::Query),
        ("http://otel:4318#key", EndpointError::Query),
        ("http://otel:4318/v1/traces", EndpointError::Signal),
        ("http://otel:4318/otlp/v1/traces/", EndpointError::Signal),
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(expected), "{text}");
    }
}
