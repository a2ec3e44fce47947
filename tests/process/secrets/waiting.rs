//! A key where the path of a file belongs, with `wait-for-certificate`: the program runs and speaks of that
//! path in its log and on its pages for as long as it waits.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::trial::Trial;
use super::ways;
use super::{Running, address_in, page, until};

/// Settings whose value is the path of a file.
const PATHS: [&str; 5] = ["cert", "key", "client-ca", "client-crl", "ticket-keys"];
const PAGES: [&str; 5] = ["/readyz", "/status", "/metrics", "/config", "/healthz"];

/// Runs with these paths, looks again at SIGHUP, reads the pages. Whether it ran; `meanwhile` happens before
/// it looks, and then the log must have `says`.
fn run(
    trial: &Trial,
    what: &str,
    paths: &[(&str, String)],
    meanwhile: impl Fn(),
    says: &str,
) -> bool {
    let log = trial.path("log");
    let fixed = ["--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9"];
    let mut command = trial.command(&["run", "--wait-for-certificate", "--admin", "127.0.0.1:0"]);
    command
        .args(fixed)
        .args(["--client-auth", "optional", "--allow-any"]);
    for (setting, path) in paths {
        let setting = setting.to_uppercase().replace('-', "_");
        command.env(format!("HYBRIDGE_{setting}"), path);
    }
    let child = command
        .stderr(fs::File::create(&log).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut process = Running(child);
    let read = || fs::read_to_string(&log).unwrap();
    let mut ended = None;
    until("its admin port, or its end", || {
        ended = process.0.try_wait().unwrap();
        ended.is_some() || address_in(&log, "admin port", "addresses=[").is_some()
    });
    if ended.is_none() {
        let admin = address_in(&log, "admin port", "addresses=[").unwrap();
        meanwhile();
        let known = read().matches(says).count();
        let pid = rustix::process::Pid::from_child(&process.0);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        until(says, || read().matches(says).count() > known);
        // The other files are looked at beside the pair.
        std::thread::sleep(Duration::from_millis(100));
        for path in PAGES {
            let page = page(&admin, path);
            assert!(page.starts_with("HTTP/1.1 "), "{path}: {page}");
            trial.assert_silent(&format!("{path} {what}"), page.as_bytes());
        }
    }
    trial.assert_silent(&format!("the log, {what}"), read().as_bytes());
    ended.is_none()
}

#[test]
fn a_key_that_is_waited_for_as_a_file_is_not_repeated() {
    let trial = Trial::new();
    let mut ran = Vec::new();
    for way in trial.handed() {
        let Some(text) = way.argument() else { continue };
        // Of each way the certificate's path, and all of them.
        let all: Vec<_> = PATHS.iter().map(|path| (*path, text.to_owned())).collect();
        let key = (PATHS[1], "tls.key".to_owned());
        for paths in [&[all[0].clone(), key][..], &all] {
            if run(&trial, way.name, paths, || {}, "no usable certificate yet") {
                ran.push(way.name);
            }
        }
    }
    assert!(ran.contains(&"a file URL"), "{ran:?}");
}

#[test]
fn files_that_are_named_by_a_key_and_used_are_not_repeated() {
    let trial = Trial::new();
    let body = ways::body(&trial.pair.key).replace('/', "_");
    let named = |end: &str| format!("{body}.{end}");
    fs::copy(trial.path("tls.crt"), trial.path(&named("crt"))).unwrap();
    fs::copy(trial.path("tls.key"), trial.path(&named("key"))).unwrap();
    fs::write(trial.path(&named("ca")), &trial.ca).unwrap();
    let tickets = named("tickets");
    let made = trial
        .command(&["ticket-keys", "new", &format!("./{tickets}")])
        .output()
        .unwrap();
    trial.assert_output("ticket-keys new", &made);
    let paths = [
        ("cert", named("crt")),
        ("key", named("key")),
        ("client-ca", named("ca")),
        ("ticket-keys", tickets),
    ];
    let unchanged = "certificate unchanged";
    assert!(run(&trial, "named by a key", &paths, || {}, unchanged));
    let odd = || fs::write(trial.path(&paths[0].1), "no certificate").unwrap();
    let says = "certificate not reloaded";
    assert!(run(&trial, "no longer usable", &paths, odd, says));
}
