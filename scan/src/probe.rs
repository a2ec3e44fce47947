//! One TLS 1.3 handshake as a client that knows hybrid groups, and what it shows.

mod roots;
mod witness;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use thiserror::Error;

use self::roots::roots;
use self::witness::Witness;
use crate::args::ProbeArgs;
use crate::certificate::describe;
use crate::dial::{Dial, Unreachable};
use crate::groups::{self, Kind, Known};
use crate::printable::printable;
use crate::report::table::date;
use crate::session::Session;
use crate::target::Target;

/// Bytes of a response that are read.
const RESPONSE: usize = 16 << 10;

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Hybrid or post-quantum key exchange with a certificate that is trusted.
    Protected,
    /// Classical key exchange.
    Classical,
    /// The certificate is not trusted.
    Untrusted,
}

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// No connection.
    #[error("{target}: {}", reason.text())]
    Unreachable {
        /// What was probed.
        target: Target,
        /// Why.
        reason: Unreachable,
    },
    /// No handshake.
    #[error("{0}: {1}")]
    Handshake(Target, String),
    /// Standard output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Probes with the groups that are known, in their order, and writes what it saw.
pub fn probe(args: &ProbeArgs, known: &[Known], out: &mut impl Write) -> Result<Verdict, Error> {
    let target: Target = args.url.parse().map_err(Error::Usage)?;
    let path = path_of(&args.url)?;
    let offered = offered(&args.groups, known)?;
    let (roots, from) = roots(args.ca.as_deref()).map_err(Error::Usage)?;
    let crypto = Arc::new(CryptoProvider {
        kx_groups: offered,
        ..rustls_post_quantum::provider()
    });
    let witness = Arc::new(Witness::new(roots, &crypto).map_err(Error::Usage)?);
    let mut config = ClientConfig::builder_with_provider(crypto)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Usage(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as _)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| Error::Usage(error.to_string()))?;
    let unreachable = |reason| Error::Unreachable {
        target: target.clone(),
        reason,
    };
    let dial = Dial::find(&target, args.timeout).map_err(unreachable)?;
    let failed = |why: String| Error::Handshake(target.clone(), why);
    // Keys are generated and the random generator starts before the clock does.
    let tls = ClientConnection::new(Arc::new(config), name).map_err(|e| failed(e.to_string()))?;
    let begin = Instant::now();
    let stream = dial
        .connect()
        .ok_or_else(|| unreachable(Unreachable::ConnectFailed))?;
    let connected = Instant::now();
    let mut session = Session::new(tls, stream);
    session
        .handshake(args.timeout)
        .map_err(|why| failed(explained(&why)))?;
    let took = connected.elapsed();
    writeln!(out, "{target} ({})", dial.address)?;
    let verdict = show(&session, &witness, &from, out)?;
    writeln!(
        out,
        "bytes         {} sent, {} received until the handshake was complete",
        session.sent, session.received
    )?;
    writeln!(
        out,
        "time          {:.1} ms for the connection, {:.1} ms for the handshake",
        ms(connected - begin),
        ms(took)
    )?;
    if args.http && verdict != Verdict::Untrusted {
        let response = get(&mut session, &target, &path, args.timeout);
        writeln!(out, "response      {}", response.map_err(failed)?)?;
    }
    // Without it the server would count a client that went away.
    session.close();
    Ok(verdict)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What a failed handshake means for who reads it.
fn explained(why: &str) -> String {
    if why.contains("HandshakeFailure") {
        return format!(
            "the server refused the handshake ({why}): it may not accept any group that was offered; see `hybridge scan`"
        );
    }
    if why.contains("InvalidContentType") {
        return "the server does not speak TLS on this port; `hybridge scan` says what it speaks"
            .to_owned();
    }
    if why.contains("ProtocolVersion") {
        return format!("the server does not accept TLS 1.3 ({why})");
    }
    why.to_owned()
}

/// The path and query of a URL, which stand in a request line.
fn path_of(url: &str) -> Result<String, Error> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let path = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
    if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
        let said = "--http: a URL's path has neither spaces nor control characters nor other letters: write them as %XX";
        return Err(Error::Usage(said.to_owned()));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(format!("{slash}{path}"))
}

fn offered(names: &[String], known: &[Known]) -> Result<Vec<&'static dyn SupportedKxGroup>, Error> {
    if names.is_empty() {
        return Ok(known.iter().map(|(_, group)| *group).collect());
    }
    let find = |name: &String| {
        let found = known
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, group)| *group).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            Error::Usage(format!(
                "--groups {name}: not a group that probe offers: {} (`hybridge scan` asks for every group)",
                names.join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}

/// What was negotiated, and whether it protects.
fn show(
    session: &Session,
    witness: &Witness,
    from: &str,
    out: &mut impl Write,
) -> io::Result<Verdict> {
    let group = session.tls.negotiated_key_exchange_group();
    let number = group.map_or(0, |group| u16::from(group.name()));
    let kind = groups::kind(number);
    let meaning = match kind {
        Kind::Hybrid => "hybrid: a quantum computer cannot decrypt what is recorded",
        Kind::PostQuantum => "post-quantum: a quantum computer cannot decrypt what is recorded",
        Kind::Classical => {
            "classical: what is recorded today can be decrypted by a quantum computer"
        }
    };
    writeln!(out, "key exchange  {} ({meaning})", groups::name(number))?;
    if session.tls.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest) {
        writeln!(
            out,
            "              after a HelloRetryRequest: the server asked for another group's share"
        )?;
    }
    let suite = session.tls.negotiated_cipher_suite();
    let suite = suite
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("?");
    writeln!(
        out,
        "version       TLS 1.3, {}",
        suite.replace("TLS13_", "TLS_")
    )?;
    let seen = witness.seen();
    if let Some(leaf) = seen.leaf.as_deref().and_then(describe) {
        writeln!(
            out,
            "certificate   {}, {}, until {}",
            leaf.subject,
            leaf.key,
            date(leaf.not_after)
        )?;
    }
    match &seen.problem {
        None => writeln!(out, "              trusted by {from}")?,
        Some(problem) => writeln!(
            out,
            "              NOT TRUSTED by {from}: {problem}{}",
            seen.advice()
        )?,
    }
    Ok(match (kind, &seen.problem) {
        (_, Some(_)) => Verdict::Untrusted,
        (Kind::Classical, None) => Verdict::Classical,
        (_, None) => Verdict::Protected,
    })
}

/// The head of the final response, behind any interim ones (RFC 9110, section 15.2). 101 is final here: what
/// follows it is another protocol.
fn final_head(mut response: &[u8]) -> Option<&[u8]> {
    loop {
        let end = response.windows(4).position(|end| end == b"\r\n\r\n")?;
        let (head, rest) = response.split_at_checked(end + 4)?;
        let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let is_interim = matches!(status, [b'1', b'0'..=b'9', b'0'..=b'9']) && status != b"101";
        if !is_interim {
            return Some(head);
        }
        response = rest;
    }
}

/// The status line, and what the server says of the key exchange.
fn get(
    session: &mut Session,
    target: &Target,
    path: &str,
    timeout: Duration,
) -> Result<String, String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {target}\r\nuser-agent: hybridge\r\nconnection: close\r\n\r\n"
    );
    let written = session.tls.writer().write_all(request.as_bytes());
    written.map_err(|error| error.to_string())?;
    let mut response = Vec::new();
    session.until(timeout, "no whole response within the timeout", |session| {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = session.tls.reader().read(&mut piece) {
            response.extend_from_slice(&piece[..count]);
        }
        final_head(&response).is_some() || response.len() >= RESPONSE
    })?;
    let head = String::from_utf8_lossy(final_head(&response).unwrap_or(&response));
    let mut lines = head.lines();
    let status = printable(lines.next().unwrap_or_default().trim());
    let said = lines.find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("x-tls-key-exchange")
    });
    Ok(said.map_or(status.clone(), |line| {
        format!("{status}, {}", printable(line.trim()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_responses_are_not_the_response() {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        let good = "HTTP/1.1 200 OK\r\nx-tls-key-exchange: X25519MLKEM768\r\n\r\n";
        let upgrade = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        for (response, head) in [
            (format!("{good}body"), Some(good)),
            (format!("{hints}HTTP/1.1 100 \r\n\r\n{good}"), Some(good)),
            (format!("{hints}{hints}"), None),
            (format!("{hints}HTTP/1.1 200 OK\r\n"), None),
            (format!("{upgrade}{good}"), Some(upgrade)),
            ("SSH-2.0\r\n\r\n".to_owned(), Some("SSH-2.0\r\n\r\n")),
        ] {
            assert_eq!(final_head(response.as_bytes()), head.map(str::as_bytes));
        }
    }
}
