//! How addresses are read, and what is said about those that cannot be.
#![allow(clippy::unwrap_used)]

use super::*;

fn listens(text: &str, pod_ips: Option<&str>) -> Result<Vec<String>, String> {
    let items: Vec<_> = text.split(',').map(str::to_owned).collect();
    listening(&items, pod_ips, Clients::Network)
        .map(|addresses| addresses.iter().map(ToString::to_string).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn every_spelling_of_a_listening_address_is_read() {
    let pod = Some("10.1.2.3,fd00::3");
    for (text, expected) in [
        ("127.0.0.1:8443", vec!["127.0.0.1:8443"]),
        ("[::1]:8443", vec!["[::1]:8443"]),
        (":8443", vec!["[::]:8443"]),
        ("127.0.0.1:0", vec!["127.0.0.1:0"]),
        (
            "127.0.0.1:1,127.0.0.2:2",
            vec!["127.0.0.1:1", "127.0.0.2:2"],
        ),
        ("$POD_IPS:8000", vec!["10.1.2.3:8000", "[fd00::3]:8000"]),
        ("${POD_IPS}:8000", vec!["10.1.2.3:8000", "[fd00::3]:8000"]),
        ("$(POD_IPS):8000", vec!["10.1.2.3:8000", "[fd00::3]:8000"]),
        (
            "127.0.0.1:1,$POD_IPS:8000",
            vec!["127.0.0.1:1", "10.1.2.3:8000", "[fd00::3]:8000"],
        ),
    ] {
        assert_eq!(listens(text, pod).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_kubernetes_makes_of_pod_ips_and_a_port_is_read() {
    let expansion = "10.1.2.3,fd00::3:8000";
    assert_eq!(
        listens(expansion, None).unwrap(),
        ["10.1.2.3:8000", "[fd00::3]:8000"]
    );
    let ipv6_first = "fd00::3,10.1.2.3:8000";
    assert_eq!(
        listens(ipv6_first, None).unwrap(),
        ["[fd00::3]:8000", "10.1.2.3:8000"]
    );
}

#[test]
fn a_listening_address_that_cannot_be_read_says_what_is_wrong() {
    for (text, expected) in [
        ("", "an address is empty"),
        (
            "8443",
            "`8443` is a port without an address: write 0.0.0.0:8443",
        ),
        ("*:8443", "`*:8443` has no IP address: write 0.0.0.0:8443"),
        (
            "https://0.0.0.0",
            "`https://0.0.0.0` is a URL, not an address: write 0.0.0.0:443",
        ),
        (
            "unix:/run/tls.sock",
            "`unix:/run/tls.sock` is a path, but TLS is accepted on TCP: write IP:PORT, such as 0.0.0.0:8443",
        ),
        (
            "gateway:443",
            "`gateway:443`: `gateway` is not an IP address (names are not looked up)",
        ),
        ("127.0.0.1", "`127.0.0.1` has no port: write 127.0.0.1:PORT"),
        ("[::1]", "`[::1]` has no port: write [::1]:PORT"),
        (
            "127.0.0.1:99999",
            "`127.0.0.1:99999`: `99999` is not a port: write a number from 1 to 65535",
        ),
        (
            "localhost:80",
            "`localhost:80` is a name, and names are not looked up: write 127.0.0.1:80",
        ),
        (
            "::1",
            "`::1`: an IPv6 address with a port needs brackets: write [::1]:PORT",
        ),
        ("10.0.0.1,,10.0.0.2:80", "an address is empty"),
        (
            "10.0.0.256,10.0.0.2:80",
            "`10.0.0.256` has no port: write 10.0.0.256:PORT",
        ),
        (
            "$POD_IPS:80",
            "`$POD_IPS:80` needs the environment variable POD_IPS (Kubernetes: fieldRef status.podIPs)",
        ),
    ] {
        assert_eq!(listens(text, None).unwrap_err(), expected);
    }
    let error = listens("$POD_IPS:80", Some("10.0.0.1,pod")).unwrap_err();
    assert_eq!(error, "POD_IPS: `pod` is not an IP address");
}

#[test]
fn upstreams_are_an_address_or_a_unix_socket() {
    for (text, expected) in [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("[::ffff:127.0.0.1]:8000", "127.0.0.1:8000"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ] {
        assert_eq!(upstream(text).unwrap().to_string(), expected);
    }
}

#[test]
fn an_upstream_that_cannot_be_called_says_why() {
    let long = format!("unix:/{}", "a".repeat(107));
    for (text, expected) in [
        ("127.0.0.1:0", "`127.0.0.1:0`: `0` is not a port: write a number from 1 to 65535".to_owned()),
        ("0.0.0.0:80", "`0.0.0.0:80` is every address, not one to call: write 127.0.0.1:PORT or [::1]:PORT".to_owned()),
        ("unix:app.sock", "`unix:app.sock`: the path of a Unix socket must be absolute: write unix:/PATH".to_owned()),
        (&long, format!("`{long}`: the path of a Unix socket holds at most 107 bytes, this one has 108")),
        ("http://127.0.0.1:80", "`http://127.0.0.1:80` is a URL, not an address: write 127.0.0.1:80".to_owned()),
        ("http://localhost:8000/v1?x=1", "`http://localhost:8000` is a URL, not an address: write 127.0.0.1:8000".to_owned()),
        ("https://me:secret@[::1]/", "`https://[::1]` is a URL, not an address: write [::1]:443".to_owned()),
        ("grpc://triton:8001", "`grpc://triton:8001` is a URL, not an address: write IP:8001 with the IP address of that host".to_owned()),
        ("localhost", "`localhost` is a name, and names are not looked up: write 127.0.0.1:PORT".to_owned()),
        ("LOCALHOST:8000", "`LOCALHOST:8000` is a name, and names are not looked up: write 127.0.0.1:8000".to_owned()),
        ("8000", "`8000` is a port without an address: write 127.0.0.1:8000".to_owned()),
        ("*:8000", "`*:8000` has no IP address: write 127.0.0.1:8000".to_owned()),
        ("/run/app.sock", "`/run/app.sock` is a path: write unix:/run/app.sock".to_owned()),
        ("app.sock", "`app.sock` is a path: write unix:/PATH, from the root".to_owned()),
    ] {
        assert_eq!(upstream(text).unwrap_err().to_string(), expected);
    }
    assert!(upstream(&long[..long.len() - 1]).is_ok());
}

#[test]
fn an_entry_of_ports_is_a_port_and_an_upstream() {
    let (port, target) = ports_entry("8000=[::1]:9000").unwrap();
    assert_eq!((port, target.to_string().as_str()), (8000, "[::1]:9000"));
    for (text, expected) in [
        (
            "8000",
            "`8000` is not PORT=UPSTREAM, such as 8000=127.0.0.1:8000",
        ),
        (
            "0=127.0.0.1:1",
            "`0=127.0.0.1:1`: `0` is not a port: write a number from 1 to 65535",
        ),
        (
            "x=127.0.0.1:1",
            "`x=127.0.0.1:1`: `x` is not a port: write a number from 1 to 65535",
        ),
        ("8000=", "an address is empty"),
    ] {
        assert_eq!(ports_entry(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_port_alone_is_loopback_where_plaintext_comes_in() {
    for (text, expected) in [
        (
            "9443",
            "`9443` is a port without an address: write 127.0.0.1:9443",
        ),
        ("*:9443", "`*:9443` has no IP address: write 127.0.0.1:9443"),
        (
            "http://*:9443/",
            "`http://*:9443` is a URL, not an address: write 127.0.0.1:9443",
        ),
        ("./app", "`./app` is a path: write 127.0.0.1:PORT"),
    ] {
        let items = [text.to_owned()];
        let admin = listening(&items, None, Clients::Host).unwrap_err();
        assert_eq!(admin.to_string(), expected);
        assert_eq!(of_apps(&items).unwrap_err().to_string(), expected);
        assert_eq!(host_socket(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_flag_with_one_address_says_the_same() {
    assert_eq!(socket("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
    assert_eq!(socket(":8443").unwrap().to_string(), "[::]:8443");
    assert_eq!(
        socket("localhost:8443").unwrap_err().to_string(),
        "`localhost:8443` is a name, and names are not looked up: write 127.0.0.1:8443"
    );
}

#[test]
fn a_wildcard_is_reached_on_loopback() {
    for (bound, reached) in [
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("[::]:8443", "[::1]:8443"),
        ("192.0.2.7:1", "192.0.2.7:1"),
    ] {
        let bound: SocketAddr = bound.parse().unwrap();
        assert_eq!(reachable(bound).to_string(), reached);
    }
}
