use super::*;

fn identity(mode: ForwardedMode) -> ForwardedHeaders {
    ForwardedHeaders::new(
        IpAddr::from([192, 0, 2, 7]),
        Vec::new(),
        "X25519MLKEM768",
        mode,
    )
}

#[test]
fn spoofed_fields_are_ours_in_every_spelling() {
    let replace = identity(ForwardedMode::Replace);
    for name in [
        "x-forwarded-for",
        "X-Forwarded-Host",
        "X_Forwarded_For",
        "x-forwarded-port",
        "Forwarded",
        "X-TLS-Key-Exchange",
        "x_tls_key_exchange",
    ] {
        assert!(replace.owns(name.as_bytes()), "{name}");
    }
    for name in ["x-forward", "forwarded-x", "x-request-id", "x-forwarded"] {
        assert!(!replace.owns(name.as_bytes()), "{name}");
    }
}

#[test]
fn appending_keeps_forwarding_fields_and_never_the_evidence() {
    let append = identity(ForwardedMode::Append);
    assert!(!append.owns(b"x-forwarded-for"));
    assert!(!append.owns(b"forwarded"));
    assert!(append.owns(b"x-tls-key-exchange"));
    assert!(append.owns(b"x_forwarded_for"));
    for name in [
        "x-forwarded-client-cert",
        "X_Forwarded-Client_Cert",
        "Client-Cert",
        "client_cert",
        "Client-Cert-Chain",
        "client_cert_chain",
    ] {
        assert!(append.owns(name.as_bytes()), "{name}");
        assert!(forbidden_in_trailers(name.as_bytes()), "{name}");
    }
    for name in ["client-certs", "x-client-cert", "clientcert"] {
        assert!(!append.owns(name.as_bytes()), "{name}");
    }
}

#[test]
fn an_ipv6_client_is_quoted_as_rfc_7239_wants() {
    let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
    let identity = ForwardedHeaders::new(address, Vec::new(), "X25519", ForwardedMode::Replace);
    let mut fields = HeaderMap::new();
    identity.append_to(&mut fields, Some(b"model.example"));
    let forwarded = "for=\"[2001:db8::1]\";proto=https;host=\"model.example\"";
    assert_eq!(fields["x-forwarded-for"], "2001:db8::1");
    assert_eq!(fields["forwarded"], forwarded);
    let mut lines = BytesMut::new();
    identity.put_lines(&mut lines, Some(b"model.example"));
    let lines = String::from_utf8_lossy(&lines);
    assert!(
        lines.contains("\r\nx-forwarded-for: 2001:db8::1\r\n"),
        "{lines}"
    );
    assert!(
        lines.contains(&format!("\r\nforwarded: {forwarded}\r\n")),
        "{lines}"
    );
}

#[test]
fn hop_by_hop_fields_go_and_te_trailers_stays() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "close, x-secret-hop"),
        ("keep-alive", "timeout=5"),
        ("x-secret-hop", "1"),
        ("te", "gzip, trailers"),
        ("upgrade", "h2c"),
        ("accept", "*/*"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    strip_hop_by_hop(&mut headers);
    let mut left: Vec<_> = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_bytes()))
        .collect();
    left.sort_unstable();
    assert_eq!(left, [("accept", &b"*/*"[..]), ("te", b"trailers")]);
}
