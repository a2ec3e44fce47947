//! What a scenario uses of a case, and what a target without TLS does not use: a key that changes nothing is refused, because
//! its author expects something of it, and the report would repeat it.

use std::net::IpAddr;

use clap::ValueEnum;

use super::scenario::name_of;
use super::syntax::{CaseFile, TargetFile};
use super::{Case, Role, Scenario, Speaks, Target};
use crate::tls::Group;

/// The keys of a case that only some scenarios use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Key {
    Rate,
    Streams,
    Up,
    Down,
    Tokens,
    TokenInterval,
    Block,
    Warmup,
}

use Key::{Block, Down, Rate, Streams, TokenInterval, Tokens, Up, Warmup};

impl Key {
    pub fn name(self) -> String {
        name_of(&self)
    }

    fn is_in(self, case: &CaseFile) -> bool {
        match self {
            Rate => case.rate.is_some(),
            Streams => case.streams.is_some(),
            Up => case.up.is_some(),
            Down => case.down.is_some(),
            Tokens => case.tokens.is_some(),
            TokenInterval => case.token_interval.is_some(),
            Block => case.block.is_some(),
            Warmup => case.warmup.is_some(),
        }
    }
}

impl Scenario {
    /// Those of the keys that change what is measured.
    pub fn uses(self) -> &'static [Key] {
        match self {
            Self::FullHandshake | Self::HelloRetryHandshake | Self::ResumedHandshake => {
                &[Rate, Block, Warmup]
            }
            Self::H1Keepalive | Self::RequestPerConnection => &[Rate, Block, Warmup, Up, Down],
            Self::H2Keepalive => &[Rate, Block, Warmup, Streams, Up, Down],
            // The echo is as long as the message.
            Self::GrpcUnary | Self::GrpcStream => &[Rate, Block, Warmup, Streams, Up],
            Self::TokenStream => &[Rate, Block, Warmup, Tokens, TokenInterval],
            Self::Upload | Self::TcpUpload => &[Rate, Block, Warmup, Up],
            Self::Download | Self::TcpDownload | Self::ModelCheckpoint => {
                &[Rate, Block, Warmup, Down]
            }
            Self::GradientExchange | Self::TcpGradientExchange | Self::FederatedRound => {
                &[Rate, Block, Warmup, Up, Down]
            }
            // A block is as long as its connections take.
            Self::Idle => &[Down],
            Self::Mix => &[Rate, Block, Warmup, Up, Down, Tokens, TokenInterval],
        }
    }

    /// One request sends or fetches, and not both.
    fn is_one_request(self) -> bool {
        matches!(
            self,
            Self::H1Keepalive | Self::H2Keepalive | Self::RequestPerConnection
        )
    }
}

impl Case {
    /// A request that sends fetches nothing.
    pub fn uses(&self, key: Key) -> bool {
        let sends = key == Down && self.scenario.is_one_request() && self.up > 0;
        self.scenario.uses().contains(&key) && !sends
    }

    /// The bytes down of an operation where those up decide on them.
    pub fn settle_down(&mut self) {
        if self.scenario.is_one_request() && self.up > 0 {
            self.down = 0;
        }
        if matches!(self.scenario, Scenario::GrpcUnary | Scenario::GrpcStream) {
            self.down = self.up;
        }
    }

    /// A transfer of nothing would be measured as something else, and a stream without a token counts as broken.
    pub(super) fn refuse_empty(&self) -> Result<(), String> {
        if self.tokens == 0 && self.uses(Tokens) {
            return Err(format!(
                "{}: tokens is 0; write how many a stream has, at least 1",
                self.title()
            ));
        }
        let sizes = [(Up, self.up), (Down, self.down)];
        let empty = |(key, size): &(Key, u64)| *size == 0 && self.uses(*key);
        match sizes.into_iter().find(empty) {
            Some((key, _)) if self.scenario.is_bulk() => Err(format!(
                "{}: {} is 0; write the bytes of a transfer",
                self.title(),
                key.name()
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses keys of a case that its scenario does not use.
pub(super) fn refuse_of_case(case: &CaseFile) -> Result<(), String> {
    let scenario = case.scenario;
    let unused = |key: &Key| key.is_in(case) && !scenario.uses().contains(key);
    let Some(key) = Key::value_variants().iter().copied().find(unused) else {
        return Ok(());
    };
    let others = Scenario::value_variants().iter().copied();
    let others: Vec<_> = others
        .filter(|other| other.uses().contains(&key))
        .map(Scenario::name)
        .collect();
    Err(format!(
        "{} is of no use to {}; leave it out ({} use it)",
        key.name(),
        scenario.name(),
        others.join(", ")
    ))
}

/// Refuses keys of a target that mean nothing beside its others.
pub(super) fn refuse_of_target(file: &TargetFile) -> Result<(), String> {
    let refuse = |key: &str, why: &str| {
        Err(format!(
            "target {}: {key} is of no use {why}; leave it out",
            file.name
        ))
    };
    let of_tls = [
        ("groups", file.groups.is_some()),
        ("expect", file.expect.is_some()),
        ("ca", file.ca.is_some()),
        ("server_name", file.server_name.is_some()),
        ("client_cert", file.client_cert.is_some()),
        ("client_key", file.client_key.is_some()),
        // The server counts what is inside TLS and around it; without TLS there is nothing to compare it with.
        ("listener", file.listener.is_some()),
    ];
    if let (true, Some((key, _))) = (
        is_plaintext(&file.url),
        of_tls.into_iter().find(|(_, given)| *given),
    ) {
        return refuse(key, "to http://, which is without TLS");
    }
    if file.listener.is_some() && file.metrics.is_none() {
        return refuse("listener", "without metrics");
    }
    if file.pid.is_some() && file.pid_file.is_some() {
        return refuse("pid", "beside pid_file");
    }
    Ok(())
}

pub(super) fn is_plaintext(url: &str) -> bool {
    url.starts_with("http://")
}

impl Target {
    /// What its URL says that it understands.
    pub fn speaks(&self) -> Speaks {
        if self.url.starts_with("tls://") {
            Speaks::Blocks
        } else {
            Speaks::Http
        }
    }

    pub fn has_tls(&self) -> bool {
        !is_plaintext(&self.url)
    }

    /// The group that its handshakes must use; none without TLS.
    pub fn group(&self) -> Option<Group> {
        self.has_tls().then_some(self.expect)
    }

    /// Whether its address says that it is on this machine.
    pub fn is_on_loopback(&self) -> bool {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            _ => authority,
        };
        // A report in Markdown has escaped the brackets.
        let host = host.trim_matches(['[', ']', '\\']);
        let address = host.parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Why these targets cannot be compared in a case; none where they can.
pub fn unfit<'a>(case: &Case, targets: impl Iterator<Item = &'a Target>) -> Option<String> {
    let speaks = case.scenario.speaks();
    let members: Vec<_> = targets.filter(|target| target.speaks() == speaks).collect();
    for role in [Role::Subject, Role::Baseline] {
        if !members.iter().any(|target| target.role == role) {
            let scheme = match speaks {
                Speaks::Blocks => "tls://",
                Speaks::Http => "https:// or http://",
            };
            return Some(format!("no {role} is at {scheme}"));
        }
    }
    let plaintext = members.iter().find(|target| !target.has_tls());
    plaintext
        .filter(|_| case.scenario.is_handshake())
        .map(|target| {
            format!(
                "target {} is at http://, without TLS: it has no handshake",
                target.name
            )
        })
}

#[cfg(test)]
mod tests;
