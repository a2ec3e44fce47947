//! Identities and recipients as the command line names them: text, a file, or, inside a confidential
//! pod, a URL of its own loopback address. An identity never stands in an argument or a message.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::age::keys::{Identity, NotRecipient, Recipient};
use crate::error::{Error, failed};
use crate::permissions::{require_secret, require_trusted};
use crate::regular::file_or_pipe;
use crate::secret;
use crate::shown::Shown;

/// Bytes of a file or an answer with identities or recipients, at most.
const MAX_FILE: u64 = 4 << 20;
/// Until the answer of a loopback URL, or what a pipe gives, is whole.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every recipient of `-r`, each named once.
pub fn recipients(given: &[String]) -> Result<Vec<Recipient>, Error> {
    let mut all: Vec<Recipient> = Vec::new();
    for one in given {
        let of_text = one.starts_with("age1")
            || one.starts_with("AGE1")
            || one.starts_with("ssh-")
            || is_identity(one);
        let found = if of_text {
            vec![Recipient::parse(one).map_err(|why| not_recipient(why, "-r"))?]
        } else {
            of_file(Path::new(one))?
        };
        for recipient in found {
            if !all.contains(&recipient) {
                all.push(recipient);
            }
        }
    }
    if all.is_empty() {
        return Err(Error::Usage(
            "no recipient: name one or more with -r".to_owned(),
        ));
    }
    Ok(all)
}

fn of_file(path: &Path) -> Result<Vec<Recipient>, Error> {
    let text = read_limited(path)?;
    require_trusted(path)?;
    let mut found = Vec::new();
    for (number, line) in lines(&text) {
        let place = format!("{}, line {number}", Shown::from(path));
        found.push(Recipient::parse(line).map_err(|why| not_recipient(why, &place))?);
    }
    if found.is_empty() {
        return Err(Error::Usage(format!(
            "{}: no recipient in it",
            Shown::from(path)
        )));
    }
    Ok(found)
}

fn not_recipient(why: NotRecipient, place: &str) -> Error {
    Error::Usage(match why {
        NotRecipient::Classical => format!(
            "{place}: a classical recipient: its files can be recorded today and opened by a quantum computer; use one that begins with age1pq1 (`hybridge keys seal`, `age-keygen -pq`)"
        ),
        NotRecipient::OtherKind => format!(
            "{place}: a recipient of a kind for which nothing is sealed here: use one that begins with age1pq1 (`hybridge keys seal`, `age-keygen -pq`)"
        ),
        NotRecipient::Identity => format!(
            "{place}: an identity, which is secret, where a recipient is wanted: use the line that begins with age1pq1"
        ),
        NotRecipient::Malformed => format!(
            "{place}: no recipient: one begins with age1pq1 and has 1959 characters, of which none may be missing"
        ),
    })
}

/// The identities of `-i`: a file, or `http://127.0.0.1:PORT/PATH`.
pub fn identities(from: &str) -> Result<Vec<Identity>, Error> {
    let (text, name) = if let Some(rest) = from.strip_prefix("http://") {
        (
            of_loopback(rest)?,
            "the answer of the loopback URL".to_owned(),
        )
    } else if from.starts_with("https://") {
        return Err(not_loopback());
    } else if is_identity(from) {
        return Err(Error::Usage(
            "-i: an identity in an argument is readable by every process: put it in a file and name the file".to_owned(),
        ));
    } else {
        let path = Path::new(from);
        let text = read_limited(path)?;
        // A recipient in its place may be readable by all.
        if lines(&text).any(|(_, line)| is_identity(line)) {
            require_secret(path)?;
        }
        (text, Shown::from(path).to_string())
    };
    let (mut found, mut classical) = (Vec::new(), None);
    for (number, line) in lines(&text) {
        match Identity::parse(line) {
            Some(identity) => found.push(identity),
            // Beside others it does no harm: it opens nothing.
            None if is_classical(line) => classical = classical.or(Some(number)),
            None if line.starts_with("AGE-SECRET-KEY-PQ-") => {
                return Err(Error::Refused(format!(
                    "{name}, line {number}: a damaged identity: its checksum is wrong"
                )));
            }
            None => {
                return Err(Error::Refused(format!(
                    "{name}, line {number}: no identity: one begins with AGE-SECRET-KEY-PQ-1 (`hybridge keys seal`, `age-keygen -pq`)"
                )));
            }
        }
    }
    match (found.is_empty(), classical) {
        (false, _) => Ok(found),
        (true, None) => Err(Error::Refused(format!("{name}: no identity in it"))),
        (true, Some(number)) => Err(Error::Refused(format!(
            "{name}, line {number}: a classical identity, which opens no file that is sealed for age1pq1…: use one that begins with AGE-SECRET-KEY-PQ-1 (`hybridge keys seal`, `age-keygen -pq`)"
        ))),
    }
}

/// Whether it is, or is meant to be, an identity: never shown.
fn is_identity(text: &str) -> bool {
    begins(text, "AGE-SECRET-KEY-")
}

/// One of age's first kind, X25519. Files of identities that were kept for long have both.
fn is_classical(text: &str) -> bool {
    begins(text, "AGE-SECRET-KEY-1")
}

fn begins(text: &str, prefix: &str) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn read_limited(path: &Path) -> Result<Zeroizing<String>, Error> {
    let file = file_or_pipe(path, PATIENCE)?;
    let text = secret::read(file, MAX_FILE, || Ok(())).map_err(failed("read", path))?;
    text.ok_or_else(|| too_large(path))
}

/// What a file of PEM holds: its reader says what is wrong with one in DER.
pub fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let file = file_or_pipe(path, PATIENCE)?;
    let bytes = secret::read_bytes(file, MAX_FILE, || Ok(())).map_err(failed("read", path))?;
    bytes.ok_or_else(|| too_large(path))
}

fn too_large(path: &Path) -> Error {
    let path = Shown::from(path);
    Error::Refused(format!("{path}: larger than 4 MiB, so no file of keys"))
}

/// Numbered from 1, without comments and empty ones; some editors of Windows begin with a byte order mark.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.lines().enumerate();
    let content = numbered.map(|(number, line)| (number + 1, line.trim()));
    content.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn not_loopback() -> Error {
    Error::Usage(
        "-i: an identity is fetched from this machine only: http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH".to_owned(),
    )
}

/// Whether `text` is a URL that `--identity` fetches from: the same reader as when it is fetched.
pub fn is_loopback_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://");
    rest.is_some_and(|rest| place(rest).is_ok())
}

/// The address and the path of a URL behind its scheme.
fn place(rest: &str) -> Result<(SocketAddr, &str), Error> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.strip_prefix("localhost") {
        Some(port) => format!("{}{port}", Ipv4Addr::LOCALHOST),
        None => authority.to_owned(),
    };
    let with_port = |ip| SocketAddr::new(ip, 80);
    let v6 = authority
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'));
    let address = authority.parse::<SocketAddr>().ok();
    let address = address.or_else(|| {
        authority
            .parse::<Ipv4Addr>()
            .ok()
            .map(|ip| with_port(ip.into()))
    });
    let address = address.or_else(|| v6?.parse::<Ipv6Addr>().ok().map(|ip| with_port(ip.into())));
    let address = address
        .filter(|a| a.ip().is_loopback() && a.port() != 0)
        .ok_or_else(not_loopback)?;
    let path = if path.is_empty() { "/" } else { path };
    if !path.bytes().all(|b| (33..=126).contains(&b)) {
        return Err(Error::Usage(
            "-i: a space or another character that no URL has".to_owned(),
        ));
    }
    Ok((address, path))
}

/// One GET, as the Confidential Data Hub of a confidential pod answers it.
fn of_loopback(rest: &str) -> Result<Zeroizing<String>, Error> {
    let (address, path) = place(rest)?;
    let answer = get(address, path).map_err(|cause| Error::File {
        action: "fetch the identity from",
        file: Shown::text(&address.to_string()),
        cause,
    })?;
    let split = answer.split_once("\r\n\r\n");
    let (head, body) = split.ok_or_else(|| bad_answer(address, "no HTTP response"))?;
    let status = head.lines().next().and_then(|line| line.split(' ').nth(1));
    match status {
        Some("200") => Ok(Zeroizing::new(body.to_owned())),
        Some(status) => Err(bad_answer(
            address,
            &format!("status {}", Shown::text(status)),
        )),
        None => Err(bad_answer(address, "no HTTP response")),
    }
}

fn bad_answer(address: SocketAddr, what: &str) -> Error {
    Error::Refused(format!("-i: {address} gave no identity: {what}"))
}

/// HTTP/1.0, so that the answer ends with the connection and has no chunks.
fn get(address: SocketAddr, path: &str) -> std::io::Result<Zeroizing<String>> {
    let end = Instant::now() + PATIENCE;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        &stream,
        "GET {path} HTTP/1.0\r\nhost: {address}\r\naccept: */*\r\n\r\n"
    )?;
    let too_much = || std::io::Error::other("the answer is too long or takes too long");
    let text = secret::read(&stream, MAX_FILE, || {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_much());
        }
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))
    });
    text?.ok_or_else(too_much)
}
