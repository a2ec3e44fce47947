//! Secrets that are no keys of TLS, or that stand where something is written: PINs of tokens, identities of
//! age, passwords before a host, and a line of a key in a name.

use std::fs;
use std::process::Output;

use super::trial::Trial;
use super::ways;
use super::without;

const PIN: &str = "9182736455";
const PASSWORD: &str = "hunter2secret";

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs it; it must fail, say this, and not repeat that.
fn refused(trial: &Trial, arguments: &[&str], says: &[&str], secret: &str) {
    let output = trial.command(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?} was taken");
    let said = said(&output);
    assert!(!said.contains(secret), "{arguments:?}: {said}");
    for part in says {
        assert!(said.contains(part), "{arguments:?}: {part}: {said}");
    }
}

#[test]
fn a_pin_of_a_token_is_not_repeated() {
    let trial = Trial::new();
    for uri in [
        format!("pkcs11:token=t;object=k?pin-value={PIN}"),
        format!("PKCS11:token=t;object=k?pin-value={PIN}"),
        format!("pkcs11:token=t;object=k?module-path=/m.so&PIN-VALUE={PIN}"),
        format!("pkcs11:token=t;object=k?pin%2Dvalue={PIN}"),
        format!("pkcs11:token=t;object=k;pin-value={PIN}"),
    ] {
        for flag in [
            "--key",
            "--cert",
            "--client-ca",
            "--client-crl",
            "--ticket-keys",
        ] {
            let arguments = [&["check", flag, &uri][..], &without(flag)].concat();
            let says = ["a URI with a PIN", flag, "pin-source=file:/PATH"];
            refused(&trial, &arguments, &says, PIN);
        }
        for key in ["key", "cert"] {
            let other = if key == "key" { "cert" } else { "key" };
            let listener = "[[listener]]\nlisten = \"127.0.0.1:0\"\nupstream = \"127.0.0.1:9\"\n";
            let tls = format!("[listener.tls]\n{key} = \"{uri}\"\n{other} = \"tls.crt\"\n");
            fs::write(trial.path("odd.toml"), format!("{listener}{tls}")).unwrap();
            let arguments = ["check", "--config", "odd.toml"];
            let says = ["a URI with a PIN", key, "pin-source=file:/PATH"];
            refused(&trial, &arguments, &says, PIN);
        }
        refused(&trial, &["check", "--config", &uri], &[], PIN);
        refused(&trial, &["inject", "-f", &uri], &[], PIN);
        refused(&trial, &["open", &uri, "x", "--identity", &uri], &[], PIN);
    }
}

/// Without a PIN it is no secret: what is wrong is that a file is wanted.
#[test]
fn a_uri_of_a_token_is_no_file() {
    let trial = Trial::new();
    for scheme in ["pkcs11", "PKCS11", "Pkcs11"] {
        let uri = format!("{scheme}:token=t;object=k?module-path=/m.so");
        for flag in ["--cert", "--ticket-keys"] {
            let arguments = [&["check", flag, &uri][..], &without(flag)].concat();
            let says = [flag, "takes the path of a file, not a pkcs11: URI"];
            refused(&trial, &arguments, &says, "does not exist");
        }
        // Of a build with the feature the module is missed, of others the feature: no file in either.
        let arguments = [&["check", "--key", &uri][..], &without("--key")].concat();
        refused(&trial, &arguments, &[], "does not exist");
    }
}

#[test]
fn an_identity_without_its_prefix_is_not_repeated() {
    let trial = Trial::new();
    let word = "1LQT3CHAHW6CHZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6Y";
    let lower = word.to_lowercase();
    for word in [word, &lower] {
        let arguments = ["open", "a", "b", "--identity", word];
        let says = ["--identity takes no key", "an age identity"];
        refused(&trial, &arguments, &says, &word[8..24]);
        refused(&trial, &["open", word, "b"], &[], &word[8..24]);
        fs::write(trial.path("odd.txt"), word).unwrap();
        let arguments = ["open", "a", "b", "--identity", "odd.txt"];
        refused(&trial, &arguments, &[], &word[8..24]);
    }
}

#[test]
fn a_password_before_a_host_is_not_repeated() {
    let trial = Trial::new();
    for target in [
        format!("user:{PASSWORD}@host:443"),
        format!("{PASSWORD}@host:443"),
        format!("https://user:{PASSWORD}@host"),
        format!("https://user:{PASSWORD}/x@host"),
    ] {
        let egress = ["check", "--egress-listen", "127.0.0.1:0", "--egress-target"];
        let arguments = [&egress[..], &[&target]].concat();
        refused(&trial, &arguments, &[], PASSWORD);
        let arguments = [
            &["check", "--upstream", &target][..],
            &without("--upstream"),
        ]
        .concat();
        refused(&trial, &arguments, &[], PASSWORD);
        let arguments = [&["check", "--listen", &target][..], &without("--listen")].concat();
        refused(&trial, &arguments, &[], PASSWORD);
        refused(&trial, &["ctl", "--admin", &target, "ready"], &[], PASSWORD);
        refused(&trial, &["probe", &target], &[], PASSWORD);
    }
    for endpoint in [
        format!("http://tok:{PASSWORD}@x"),
        format!("unix://tok:{PASSWORD}@x/y"),
    ] {
        let arguments = [
            "check",
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "127.0.0.1:9",
        ];
        let arguments = [&arguments[..], &["--spiffe", &endpoint]].concat();
        refused(&trial, &arguments, &[], PASSWORD);
    }
}

/// A PKCS#8 key of Ed25519 has 64 characters: short enough for the path of a socket.
#[test]
fn a_key_as_the_socket_of_an_agent_is_not_repeated() {
    let trial = Trial::new();
    let key = openssl::pkey::PKey::generate_ed25519().unwrap();
    let body = ways::base64(&key.private_key_to_pkcs8().unwrap());
    let fixed = ["check", "--listen", "127.0.0.1:0", "--upstream"];
    for start in ["unix:/", "unix:///", "unix:/run/"] {
        let endpoint = format!("{start}{body}");
        let arguments = [&fixed[..], &["127.0.0.1:9", "--spiffe", &endpoint]].concat();
        let says = ["--spiffe", "write the path of a socket there is"];
        refused(&trial, &arguments, &says, &body[24..56]);
    }
}

#[test]
fn a_line_of_a_key_in_what_is_written_is_not_repeated() {
    let trial = Trial::new();
    let body = ways::body(&trial.pair.key).replace('/', "_");
    let line = &body[..64];
    let path = trial.path(&format!("{line}.pem"));
    let path = path.to_str().unwrap();
    for arguments in [
        &["certs", "--dir", path][..],
        &["keys", "sign", "--out", path],
        &["keys", "seal", "--out", path],
        &["inject", "certs", "--dir", path],
        &["inject", "certs", "--secret", line],
        &["inject", "certs", "--secret", &format!("{line}.x")],
        &["inject", "certs", "--webhook", &format!("x.{line}")],
    ] {
        let output = trial.command(arguments).output().unwrap();
        trial.assert_output(&format!("{arguments:?}"), &output);
        assert!(!output.status.success(), "{arguments:?} was taken");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("takes no key and no certificate"), "{said}");
    }
    assert!(!std::path::Path::new(path).exists());
}
