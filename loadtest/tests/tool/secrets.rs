//! A key handed over in a wrong way is never repeated: in a plan, as a path, as an argument.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::program::{Place, assert_told, tool};

/// A private key as PEM, and its base64 without line ends.
fn key() -> (String, String) {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let body = pem.lines().filter(|line| !line.starts_with("-----"));
    let body = body.collect();
    (pem, body)
}

fn plan(line: &str) -> String {
    let mut text = "name = \"x\"\n".to_owned();
    for (name, role) in [("a", "subject"), ("b", "baseline")] {
        write!(
            text,
            "[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"https://127.0.0.1:9\"\n"
        )
        .unwrap();
        if name == "a" {
            text.push_str(line);
            text.push('\n');
        }
    }
    text + "[[case]]\nscenario = \"full-handshake\"\n"
}

/// Runs the program, which must refuse, and checks that no ten characters of the key come back.
fn refuses(folder: &Path, arguments: &[&str], body: &str, what: &str) -> String {
    let output = tool(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{what}: {said}");
    let piece = (0..body.len() - 10)
        .map(|at| &body[at..at + 10])
        .find(|piece| said.contains(piece));
    assert_eq!(piece, None, "{what}: {said}");
    said
}

#[test]
fn no_key_comes_back_out_of_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, body) = key();
    let spaced = pem.replace('\n', " ");
    let line = pem.lines().nth(1).unwrap();
    let hex: String = body.bytes().take(32).fold(String::new(), |mut text, byte| {
        write!(text, "{:02x}", byte.wrapping_mul(7)).unwrap();
        text
    });
    let identity = format!(
        "AGE-SECRET-KEY-1{}",
        "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE6M"
    );
    for (what, given) in [
        ("one line", format!("ca = \"{spaced}\"")),
        (
            "three quotes",
            format!("client_cert = \"c.pem\"\nclient_key = \"\"\"{pem}\"\"\""),
        ),
        ("no closing quote", format!("client_key = \"{spaced}")),
        ("no quotes", format!("client_key = {spaced}")),
        ("a pid file", format!("pid_file = '{body}'")),
        ("a server name", format!("server_name = '{line}'")),
        ("metrics", format!("metrics = '{line}'")),
        ("a path", format!("ca = \"x/{line}.pem\"")),
        ("a key of the table", format!("\"{line}\" = 1")),
        ("a group", format!("groups = [\"{line}\"]")),
        ("a line of its own", line.to_owned()),
        ("a whole key of its own", pem.clone()),
        ("a number", format!("pid = \"{line}\"")),
        (
            "the name of an empty path",
            format!("ca = \"\"\nlistener = \"{line}\""),
        ),
    ] {
        std::fs::write(folder.path().join("plan.toml"), plan(&given)).unwrap();
        let arguments = ["run", "plan.toml", "--out", "o", "--quiet"];
        refuses(folder.path(), &arguments, &body, what);
    }
    for (what, given, secret) in [
        ("hexadecimal", format!("ca = \"{hex}\""), &hex),
        ("an identity", format!("ca = \"{identity}\""), &identity),
    ] {
        std::fs::write(folder.path().join("plan.toml"), plan(&given)).unwrap();
        let said = refuses(folder.path(), &["run", "plan.toml"], secret, what);
        assert!(said.contains("cannot read ("), "{said}");
    }
    let url = plan("").replacen("https://127.0.0.1:9", line, 1);
    std::fs::write(folder.path().join("plan.toml"), url).unwrap();
    let said = refuses(folder.path(), &["run", "plan.toml"], &body, "a URL");
    assert!(said.contains("has no scheme"), "{said}");
}

#[test]
fn a_broken_plan_is_told_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("plan.toml"),
        plan("client_key = \"k.pem"),
    )
    .unwrap();
    let output = tool(folder.path(), &["run", "plan.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("plan plan.toml: line 6: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn no_key_comes_back_out_of_an_argument() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, body) = key();
    let line = pem.lines().nth(1).unwrap();
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let identity = format!(
        "AGE-SECRET-KEY-1{}",
        "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE6M"
    );
    let compare = |more: &[&str], secret: &str| {
        let arguments = [&["compare", "--hybrid", "https://127.0.0.1:9"], more].concat();
        refuses(folder.path(), &arguments, secret, &more.join(" "));
    };
    compare(&["--ca", &pem], &body);
    compare(&["--ca", &format!("x/{line}.pem")], &body);
    compare(&["--ca", &identity], &identity);
    compare(&["--ca", hex], hex);
    compare(&["--server-name", line], &body);
    compare(&["--metrics", line], &body);
    compare(&["--group", line], &body);
    compare(&["--out", &format!("x/{line}.d")], &body);
    compare(&[&format!("--{line}")], &body);
    for command in ["run", "report", "merge", "capacity", "check"] {
        refuses(folder.path(), &[command, line], &body, command);
        refuses(
            folder.path(),
            &[command, &format!("x/{line}.toml")],
            &body,
            command,
        );
    }
    refuses(
        folder.path(),
        &["backend", "--listen", line],
        &body,
        "backend",
    );
    refuses(folder.path(), &["forward", "--to", line], &body, "forward");
}

/// Results are handed round: neither the file nor a report has what an argument or a comment of the plan had.
#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_kept_with_the_results() {
    let place = Place::new().await;
    let plan = place.plan(2);
    let text = std::fs::read_to_string(&plan).unwrap();
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    std::fs::write(&plan, format!("# https://me:s3cr3t@proxy.example/\n{text}")).unwrap();
    let note = format!("from=https://me:s3cr3t@host.example/?token=s3cr3t, {hex}");
    let arguments = ["run", &plan, "--out", "out", "--quiet", "--note", &note];
    let output = tool(place.folder.path(), &arguments);
    assert_told(&output, 0, &["wrote results.json"]);
    for name in ["results.json", "report.md", "report.html", "figures.csv"] {
        let kept = std::fs::read_to_string(place.path(&format!("out/{name}"))).unwrap();
        assert!(!kept.contains("s3cr3t"), "{name}");
        assert!(!kept.contains(&hex[..20]), "{name}");
        if name != "figures.csv" {
            assert!(kept.contains("host.example"), "{name}");
        }
    }
}

#[test]
fn what_drives_a_terminal_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let output = tool(folder.path(), &["run", "no\u{1b}[2J\u{202e}plan"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no plan"), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}
