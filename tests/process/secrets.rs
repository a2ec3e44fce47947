//! However a private key is handed over, nothing that the program says repeats it: not standard output,
//! not standard error, not the log, not the admin port's pages. The real binary, and its library.

mod hexadecimal;
mod others;
mod trial;
mod waiting;
mod ways;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use trial::Trial;

const GOOD: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "--upstream",
    "127.0.0.1:9",
    "--cert",
    "tls.crt",
    "--key",
    "tls.key",
];

/// The good settings without one of them.
fn without(flag: &str) -> Vec<&'static str> {
    let pairs = GOOD.chunks(2).filter(|pair| pair[0] != flag);
    pairs.flatten().copied().collect()
}

/// `count` of the places, others for each way: all of them with all ways would take minutes.
fn some<T>(places: Vec<T>, index: usize, count: usize) -> impl Iterator<Item = T> {
    let chosen: Vec<_> = (0..count)
        .map(|step| (index * count + step) % places.len())
        .collect();
    let places = places.into_iter().enumerate();
    places
        .filter(move |(at, _)| chosen.contains(at))
        .map(|(_, place)| place)
}

#[test]
fn there_are_thirty_ways_and_more() {
    assert!(Trial::new().handed().len() >= 30);
}

#[test]
#[should_panic(expected = "repeats")]
fn a_line_of_the_key_is_noticed() {
    let trial = Trial::new();
    let key = trial.pair.key.lines().nth(1).unwrap();
    trial.assert_silent("a line", format!("it is\n {}", &key[7..30]).as_bytes());
}

#[test]
#[should_panic(expected = "repeats")]
fn digits_of_the_key_are_noticed() {
    let trial = Trial::new();
    let bytes = trial.ways.iter().find(|way| way.name == "a list of bytes");
    trial.assert_silent("bytes", &bytes.unwrap().text.as_bytes()[30..90]);
}

#[test]
fn a_key_as_an_argument_is_not_repeated() {
    let trial = Trial::new();
    let flags = [
        "--key",
        "--cert",
        "--config",
        "--name",
        "--upstream",
        "--policy",
    ];
    for (index, way) in trial.handed().iter().enumerate() {
        let Some(text) = way.argument() else { continue };
        // Each way with one flag more than the two that matter most, in turn.
        for flag in ["--key", "--cert", flags[2 + index % 4]] {
            let mut arguments = vec!["check"];
            arguments.extend(without(flag));
            let output = trial
                .command(&arguments)
                .args([flag, text])
                .output()
                .unwrap();
            trial.assert_output(&format!("{flag} {}", way.name), &output);
            assert!(!output.status.success(), "{flag} {} was taken", way.name);
        }
        for arguments in [
            &["run", text][..],
            &["certs", "--name", text],
            &["inject", "-f", text],
            &["inject", "--image", text, "-f", "none.yaml"],
            &["ctl", "--admin", text, "ready"],
            &["demo", "--listen", text],
        ] {
            if index % 5 == 0 {
                let output = trial.command(arguments).output().unwrap();
                trial.assert_output(&format!("{} {}", arguments[0], way.name), &output);
            }
        }
    }
}

#[test]
fn a_key_in_a_variable_is_not_repeated() {
    let trial = Trial::new();
    let known = hybridge::config::Key::ALL.iter().map(|key| key.variable());
    let variables: Vec<String> = known
        .chain(
            [
                "HYBRIDGE_CONFIG",
                "HYBRIDGE_PORTS",
                "HYBRIDGE_KEYY",
                "POD_IPS",
            ]
            .map(str::to_owned),
        )
        .collect();
    let ways = trial.handed();
    let usable: Vec<_> = ways.iter().filter(|way| way.argument().is_some()).collect();
    for (index, variable) in variables.iter().enumerate() {
        let flag = variable
            .trim_start_matches("HYBRIDGE_")
            .to_ascii_lowercase();
        let flag = format!("--{}", flag.replace('_', "-"));
        let mut arguments = vec!["check"];
        arguments.extend(without(&flag));
        for way in [0, 1].map(|step| usable[(2 * index + step) % usable.len()]) {
            let mut command = trial.command(&arguments);
            let output = command.env(variable, &way.text).output().unwrap();
            trial.assert_output(&format!("{variable} {}", way.name), &output);
        }
    }
    for way in &usable {
        for variable in ["HYBRIDGE_KEY", "HYBRIDGE_CERT"] {
            let help = ["inject", "serve", "--help"];
            for arguments in some(vec![&help[..2], &help[..]], variable.len(), 1) {
                let mut command = trial.command(arguments);
                let output = command
                    .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
                    .env(variable, &way.text)
                    .output()
                    .unwrap();
                trial.assert_output(&format!("{variable} {}", way.name), &output);
            }
        }
    }
}

#[test]
fn a_key_in_a_wrong_file_or_form_is_not_repeated() {
    let trial = Trial::new();
    for way in trial.handed() {
        fs::write(trial.path("odd.pem"), &way.text).unwrap();
        for flag in ["--key", "--cert"] {
            let mut arguments = vec!["check", flag, "odd.pem"];
            arguments.extend(without(flag));
            let output = trial.command(&arguments).output().unwrap();
            trial.assert_output(&format!("file for {flag} {}", way.name), &output);
        }
        for arguments in [
            &["check", "--config", "odd.pem"][..],
            &["inject", "--check", "-f", "odd.pem"],
            &["inject", "certs", "--check", "odd.pem"],
            &[
                "inject",
                "serve",
                "--cert",
                "tls.crt",
                "--key",
                "odd.pem",
                "--listen",
                "127.0.0.1:-",
            ],
        ] {
            let output = trial.command(arguments).output().unwrap();
            trial.assert_output(&format!("{arguments:?} {}", way.name), &output);
        }
    }
}

#[test]
fn a_key_in_a_configuration_is_not_repeated() {
    let trial = Trial::new();
    for (index, way) in trial.handed().iter().enumerate() {
        for (name, text) in some(way.configurations(), index, 4) {
            fs::write(trial.path("odd.toml"), &text).unwrap();
            let arguments = ["check", "--config", "odd.toml"];
            let output = trial.command(&arguments).output().unwrap();
            trial.assert_output(&format!("{name} {}", way.name), &output);
        }
    }
}

#[test]
fn a_key_in_a_manifest_is_not_repeated_in_messages() {
    let trial = Trial::new();
    for (index, way) in trial.handed().iter().enumerate() {
        for (name, text) in some(way.manifests(), index, 3) {
            fs::write(trial.path("odd.yaml"), &text).unwrap();
            let mode = ["--check", "--explain"][index % 2];
            let arguments = ["inject", mode, "-f", "odd.yaml"];
            let output = trial.command(&arguments).output().unwrap();
            trial.assert_output(&format!("{name} {mode} {}", way.name), &output);
            // Manifests go through: standard output is the file itself.
            let output = trial
                .command(&["inject", "-f", "odd.yaml"])
                .output()
                .unwrap();
            trial.assert_silent(&format!("{name} {}", way.name), &output.stderr);
        }
    }
}

#[test]
fn a_file_named_by_a_key_is_not_repeated() {
    let trial = Trial::new();
    let name = ways::body(&trial.pair.key).replace('/', "_");
    fs::copy(trial.path("tls.key"), trial.path(&name)).unwrap();
    fs::write(trial.path(&format!("{name}.toml")), "x").unwrap();
    let mut arguments = vec!["check", "--key", &name];
    arguments.extend(without("--key"));
    for arguments in [
        &arguments[..],
        &["check", "--config", &format!("{name}.toml")],
        &["inject", "-f", &format!("{name}.toml")],
    ] {
        let output = trial.command(arguments).output().unwrap();
        trial.assert_output("the name of a file", &output);
    }
}

/// A process that is ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The page of an admin port, or nothing while there is none.
fn page(address: &str, path: &str) -> String {
    use std::io::Read as _;
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return String::new();
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let mut page = String::new();
    if stream.write_all(request.as_bytes()).is_ok() {
        let _ = stream.read_to_string(&mut page);
    }
    page
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < end, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The address behind `name` in a log.
fn address_in(log: &Path, line: &str, name: &str) -> Option<String> {
    let log = fs::read_to_string(log).ok()?;
    let line = log.lines().find(|text| text.contains(line))?;
    let (_, rest) = line.split_once(name)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

#[test]
fn a_reload_that_fails_repeats_no_key_in_log_and_pages() {
    let trial = Trial::new();
    let log = trial.path("log");
    let mut arguments = vec!["run", "--admin", "127.0.0.1:0"];
    arguments.extend(GOOD);
    let child = trial
        .command(&arguments)
        .stderr(fs::File::create(&log).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Running(child);
    until("the admin port", || {
        address_in(&log, "admin port", "addresses=[").is_some()
    });
    let admin = address_in(&log, "admin port", "addresses=[").unwrap();
    let pid = rustix::process::Pid::from_child(&process.0);
    let ways = trial.handed().iter().filter(|way| way.is_no_good_key());
    // Each takes two seconds, in which a writer could still complete the file.
    for way in ways.step_by(3) {
        fs::write(trial.path("tls.key"), &way.text).unwrap();
        let known = fs::read_to_string(&log)
            .unwrap()
            .matches("certificate not reloaded")
            .count();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        until(way.name, || {
            let now = fs::read_to_string(&log).unwrap();
            now.matches("certificate not reloaded").count() > known
        });
        for path in ["/readyz", "/status", "/metrics"] {
            let page = page(&admin, path);
            assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
            trial.assert_silent(&format!("{path} {}", way.name), page.as_bytes());
        }
    }
    trial.assert_silent("the log", &fs::read(&log).unwrap());
}

#[test]
fn the_library_repeats_no_key_in_display_and_debug() {
    use hybridge::config::{Environment, Flags, Key};
    use hybridge::tls::credentials::Credentials;
    let trial = Trial::new();
    for way in trial.handed() {
        let flags = Flags {
            settings: vec![(Key::PrivateKey, way.text.clone())],
            ..Flags::default()
        };
        let variables = [("HYBRIDGE_KEY".to_owned(), way.text.clone())];
        let environment: Environment = variables.into_iter().collect();
        let loaded = hybridge::config::Config::load(&flags, &environment);
        fs::write(trial.path("odd.pem"), &way.text).unwrap();
        let (odd, good) = (trial.path("odd.pem"), trial.path("tls.crt"));
        let pair = Credentials::load(&good, &odd);
        let pair = pair.map_err(|error| format!("{error} {error:?}"));
        let said = format!("{flags:?} {environment:?} {:?} {pair:?}", loaded.err());
        trial.assert_silent(way.name, said.as_bytes());
    }
}
