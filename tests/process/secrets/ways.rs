//! The ways in which people hand over a private key when they mean its file.

use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;

use super::hexadecimal;
use crate::support::pki::Pair;

/// A text with a key in it.
pub(crate) struct Handed {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Every form of `key` as PEM: PKCS#8, SEC1, encrypted.
pub(crate) fn forms(key: &PKey<Private>) -> Vec<String> {
    let text = |pem: Vec<u8>| String::from_utf8(pem).unwrap();
    let cipher = Cipher::aes_256_cbc();
    vec![
        text(key.private_key_to_pem_pkcs8().unwrap()),
        text(key.ec_key().unwrap().private_key_to_pem().unwrap()),
        text(
            key.private_key_to_pem_pkcs8_passphrase(cipher, b"p")
                .unwrap(),
        ),
    ]
}

/// The base64 of a PEM text, without line breaks.
pub(crate) fn body(pem: &str) -> String {
    pem.lines()
        .filter(|line| !line.starts_with("-----"))
        .collect()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn relabelled(pem: &str, label: &str) -> String {
    pem.replace("PRIVATE KEY", label)
}

fn indented(pem: &str) -> String {
    pem.lines().map(|line| format!("    {line}\n")).collect()
}

#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn handed(pair: &Pair) -> Vec<Handed> {
    let key = PKey::private_key_from_pem(pair.key.as_bytes()).unwrap();
    let [pkcs8, sec1, _] = forms(&key).try_into().unwrap();
    // Encryption draws its salt anew: this text is not the one among the forms, only its plaintext matters.
    let encrypted = forms(&key).pop().unwrap();
    let der = key.private_key_to_pkcs8().unwrap();
    let rsa = rsa_label(&sec1);
    let body = body(&pkcs8);
    let cut = pkcs8.len() * 2 / 3;
    let ways = [
        ("PKCS#8", pkcs8.clone()),
        ("SEC1", sec1.clone()),
        ("SEC1 under a PKCS#1 label", rsa),
        ("encrypted", encrypted),
        ("spaces for newlines", pkcs8.replace('\n', " ")),
        ("no newlines", pkcs8.replace('\n', "")),
        ("SEC1 without newlines", sec1.replace('\n', "")),
        ("CRLF", pkcs8.replace('\n', "\r\n")),
        ("CR only", pkcs8.replace('\n', "\r")),
        ("escaped newlines", pkcs8.replace('\n', "\\n")),
        ("twice escaped newlines", pkcs8.replace('\n', "\\\\n")),
        ("base64 of the PEM", base64(pkcs8.as_bytes())),
        (
            "base64 of the base64",
            base64(base64(pkcs8.as_bytes()).as_bytes()),
        ),
        ("the body alone", body.clone()),
        ("the body in lines", lines(&body, 64)),
        ("the body in short lines", lines(&body, 40)),
        (
            "the DER in URL-safe base64",
            BASE64_URL_SAFE_NO_PAD.encode(&der),
        ),
        ("in double quotes", format!("\"{pkcs8}\"")),
        (
            "in single quotes",
            format!("'{}'", pkcs8.replace('\n', " ")),
        ),
        ("quoted body", format!("\"{body}\"")),
        ("indented", indented(&pkcs8)),
        (
            "under the label of a certificate",
            relabelled(&pkcs8, "CERTIFICATE"),
        ),
        ("under an unknown label", relabelled(&pkcs8, "SECRET THING")),
        (
            "a label in small letters",
            relabelled(&pkcs8, "private key"),
        ),
        ("four dashes", pkcs8.replace("-----", "----")),
        ("no first line", without_line(&pkcs8, 0)),
        (
            "no last line",
            without_line(&pkcs8, pkcs8.lines().count() - 1),
        ),
        ("cut short", pkcs8[..cut].to_owned()),
        ("cut short without newlines", pkcs8[..cut].replace('\n', "")),
        ("key behind certificate", format!("{}{pkcs8}", pair.cert)),
        ("certificate behind key", format!("{pkcs8}{}", pair.cert)),
        ("two keys", format!("{pkcs8}{sec1}")),
        (
            "two keys on one line",
            format!("{pkcs8}{sec1}").replace('\n', " "),
        ),
        ("an assignment", format!("TLS_KEY={pkcs8}")),
        (
            "an assignment on one line",
            format!("TLS_KEY=\"{}\"", pkcs8.replace('\n', " ")),
        ),
        (
            "a YAML value",
            format!("tls.key: {}\n", base64(pkcs8.as_bytes())),
        ),
        (
            "a JSON value",
            format!("{{\"tls.key\": \"{}\"}}", pkcs8.replace('\n', "\\n")),
        ),
        ("a path before it", format!("/etc/tls/{body}")),
        ("unix:", format!("unix:/{body}")),
        ("a file URL", format!("file:///{body}")),
        (
            "a newline in the middle of the first line",
            pkcs8.replacen("BEGIN ", "BEGIN\n", 1),
        ),
        (
            "a character that is not base64",
            pkcs8.replacen("MIG", "M*G", 1),
        ),
    ];
    ways.into_iter()
        .chain(hexadecimal::ways(&key, &pair.cert))
        .map(|(name, text)| Handed { name, text })
        .collect()
}

fn rsa_label(sec1: &str) -> String {
    sec1.replace("EC PRIVATE KEY", "RSA PRIVATE KEY")
}

fn lines(body: &str, width: usize) -> String {
    let lines = body.as_bytes().chunks(width);
    lines
        .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
        .collect()
}

fn without_line(text: &str, index: usize) -> String {
    let lines = text.lines().enumerate().filter(|(at, _)| *at != index);
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

impl Handed {
    /// As an argument or a variable; neither can hold a NUL.
    pub(crate) fn argument(&self) -> Option<&str> {
        (!self.text.contains('\0')).then_some(self.text.as_str())
    }

    /// Whether a file with this text is refused as a private key file.
    pub(crate) fn is_no_good_key(&self) -> bool {
        !matches!(
            self.name,
            "PKCS#8"
                | "SEC1"
                | "CRLF"
                | "indented"
                | "key behind certificate"
                | "certificate behind key"
        )
    }

    /// In a configuration file: where a value, a key or a line belongs.
    pub(crate) fn configurations(&self) -> Vec<(&'static str, String)> {
        let text = &self.text;
        let basic = toml::Value::from(text.as_str()).to_string();
        let multi = format!(
            "\"\"\"\n{}\"\"\"",
            text.replace('\\', "\\\\").replace('"', "\\\"")
        );
        let listener = |key: &str, value: &str| {
            let mut lines = vec![
                ("listen", "\"127.0.0.1:0\""),
                ("upstream", "\"127.0.0.1:9\""),
                ("name", "\"a\""),
            ];
            lines.retain(|(name, _)| *name != key);
            let known: String = lines.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
            let own = if known_in_tls(key) {
                String::new()
            } else {
                format!("{key} = {value}\n")
            };
            let mut tls = vec![("cert", "\"tls.crt\""), ("key", "\"tls.key\"")];
            tls.retain(|(name, _)| *name != key);
            let mut tls: String = tls.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
            if known_in_tls(key) {
                let _ = writeln!(tls, "{key} = {value}");
            }
            format!("[[listener]]\n{known}{own}[listener.tls]\n{tls}")
        };
        vec![
            ("key", listener("key", &basic)),
            ("key of several lines", listener("key", &multi)),
            ("cert", listener("cert", &basic)),
            ("policy", listener("policy", &basic)),
            ("groups", listener("groups", &format!("[{basic}]"))),
            ("cipher-suites", listener("cipher-suites", &basic)),
            ("tickets", listener("tickets", &basic)),
            ("ticket-keys", listener("ticket-keys", &basic)),
            ("name", listener("name", &basic)),
            ("upstream", listener("upstream", &basic)),
            ("listen", listener("listen", &basic)),
            ("protocol", listener("protocol", &basic)),
            ("an unknown key", listener("private-key", &basic)),
            ("the name of a key", listener(&basic, "1")),
            (
                "a table as value",
                listener("key", &format!("{{ pem = {basic} }}")),
            ),
            (
                "probes",
                format!(
                    "[admin]\nprobes = {basic}\n{}",
                    listener("", "").replace(" = \n", "")
                ),
            ),
            ("log level", format!("[log]\nlevel = {basic}\n")),
            ("no TOML", format!("key = {text}\n")),
            ("a bare line", text.clone()),
            ("an open string", format!("key = \"{text}")),
        ]
    }

    /// In a manifest.
    pub(crate) fn manifests(&self) -> Vec<(&'static str, String)> {
        let json = serde_json::Value::from(self.text.as_str());
        let pod = |annotations: &str, env: &str, name: &str| {
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations: {annotations}\nspec:\n  containers:\n  - name: app\n    image: app:1\n    ports: [{{containerPort: 8000}}]\n    env: {env}\n"
            )
        };
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
        vec![
            (
                "stringData",
                format!("{secret}stringData:\n  tls.key: {json}\n"),
            ),
            (
                "a Secret twice",
                format!("{secret}data: {{{json}: a, {json}: b}}\n"),
            ),
            (
                "no YAML",
                format!("{secret}stringData:\n  tls.key: {}\n  x: [", self.text),
            ),
            (
                "an annotation",
                pod(&format!("{{hybridge.dev/tls-secret: {json}}}"), "[]", "a"),
            ),
            (
                "an unknown annotation",
                pod(
                    &format!(
                        "{{? {} : x}}",
                        serde_json::json!(format!("hybridge.dev/{}", self.text))
                    ),
                    "[]",
                    "a",
                ),
            ),
            (
                "ports",
                pod(&format!("{{hybridge.dev/ports: {json}}}"), "[]", "a"),
            ),
            (
                "bind-env",
                pod(&format!("{{hybridge.dev/bind-env: {json}}}"), "[]", "a"),
            ),
            (
                "a variable",
                pod("{}", &format!("[{{name: TLS_KEY, value: {json}}}]"), "a"),
            ),
            (
                "a variable's name",
                pod("{}", &format!("[{{name: {json}, value: a}}]"), "a"),
            ),
            (
                "the name of a pod",
                pod("{hybridge.dev/mode: odd}", "[]", &json.to_string()),
            ),
        ]
    }
}

fn known_in_tls(key: &str) -> bool {
    [
        "cert",
        "key",
        "policy",
        "groups",
        "cipher-suites",
        "tickets",
        "ticket-keys",
    ]
    .contains(&key)
}
