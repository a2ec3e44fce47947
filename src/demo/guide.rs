//! What the demo prints once it is ready: where everything is and what to type. Pure.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::certgen::shell_word;
use crate::tls::policy::{Group, KxClass};

/// Stands for an address that is not there.
pub(super) const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where everything is.
pub(super) struct Guide {
    /// This binary.
    pub(super) program: PathBuf,
    pub(super) ca: PathBuf,
    pub(super) hybrid: SocketAddr,
    pub(super) classical: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) egress: SocketAddr,
    pub(super) egress_admin: SocketAddr,
    pub(super) process: u32,
}

impl fmt::Display for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            ca,
            hybrid,
            classical,
            admin,
            egress,
            egress_admin,
            process,
        } = self;
        let word = shell_word(ca);
        let program = shell_word(program);
        let ca = ca.display();
        let (strong, weak) = (first(KxClass::Hybrid), first(KxClass::Classical));
        write!(
            f,
            r#"CA: {ca}
hybrid:    https://{hybrid}/  {strong} for every client that lists a hybrid group
classical: https://{classical}/  only classical key exchange, for comparison
admin:     http://{admin}/metrics
egress:    http://{egress}/  plaintext for a client, {strong} from there to the server; admin http://{egress_admin}/metrics

1. See what a client that knows hybrid groups negotiates, whatever curl you have:
     {program} probe https://{hybrid}/health --ca {word}

2. Stream a chat completion. Each chunk says in x-tls-key-exchange what keyed its connection:
     curl -N --cacert {word} https://{hybrid}/v1/chat/completions -H 'content-type: application/json' -d '{{"stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

3. Ask the classical port too, then compare what a handshake costs in bytes and seconds:
     curl -s --cacert {word} https://{classical}/health; echo; curl -s http://{admin}/metrics | grep -E '^hybridge_handshake_(bytes|duration_seconds)_(sum|count)'

4. Let a client that knows no TLS in by the egress, then compare what both ends counted: in of one is out of the other
   (the server's out has its session ticket too, which the egress counts apart):
     curl -s http://{egress}/health; echo; curl -s http://{egress_admin}/metrics http://{admin}/metrics | grep -E '^hybridge_(handshake_bytes_sum|ticket_bytes_total).*"(app|from-egress)"'

5. Stop with Ctrl-C, or:
     kill {process}

If the second answer says {weak}, that curl does not know hybrid groups (OpenSSL before 3.5).
A client that can, even though it lists {weak} first (openssl 3.5 or newer):
     openssl s_client -connect {hybrid} -CAfile {word} -groups {weak}:{strong} </dev/null 2>/dev/null | grep -E 'group:|Temp Key'
A browser shows it at https://{hybrid}/ once it trusts the CA."#
        )
    }
}

fn first(class: KxClass) -> &'static str {
    let mut groups = Group::ALL.into_iter();
    groups
        .find(|group| group.class() == class)
        .map_or("", Group::name)
}
