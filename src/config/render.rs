//! A configuration written back as TOML with every setting resolved: what `hybridge check` prints.
//!
//! Loading the text gives the same configuration again, or an error where a value is not shown; probes
//! with such a value are a comment. Certificates and keys appear only as paths.

mod egress;
mod probes;
mod text;
mod traces;
mod tunnel;

use std::fmt;

use self::text::{addresses, duration, free, list, path, policy, quoted, socket_limits, timeout};
use super::settings::{Config, ListenerConfig};
use super::size::size_text;
use crate::proxy::{Protocol, UpstreamAddr};
use crate::redact::scrub;
use crate::tls::trust;
use crate::{proxy, signature, tls};

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workers = {}", self.workers)?;
        writeln!(f, "\n[admin]")?;
        if self.admin.addresses.is_empty() {
            writeln!(f, "listen = \"none\"")?;
        } else {
            writeln!(f, "listen = {}", addresses(&self.admin.addresses))?;
        }
        if let Some(probes) = &self.probes {
            probes::write(f, probes)?;
        }
        writeln!(f, "\n[drain]")?;
        writeln!(f, "delay = {}", duration(self.drain.delay))?;
        writeln!(f, "timeout = {}", duration(self.drain.timeout))?;
        writeln!(f, "\n[log]")?;
        writeln!(f, "format = {}", quoted(self.log.format.into()))?;
        writeln!(f, "level = {}", quoted(&scrub(&self.log.level)))?;
        if let Some(settings) = &self.traces {
            traces::write(f, settings)?;
        }
        self.listeners
            .iter()
            .try_for_each(|listener| listener.fmt(f))?;
        self.egresses
            .iter()
            .try_for_each(|one| egress::write(f, one))
    }
}

impl fmt::Display for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            socket,
            explicit_connections,
            tls,
            proxy,
            census,
            signature,
            responses,
        } = self;
        let http = proxy.protocol == Protocol::Http;
        writeln!(f, "\n[[listener]]")?;
        writeln!(f, "name = {}", quoted(&socket.name))?;
        writeln!(f, "listen = {}", addresses(&socket.addresses))?;
        upstream(f, proxy, tls)?;
        tls_section(f, tls)?;
        signature_section(f, signature.as_ref(), responses.as_ref())?;
        writeln!(f, "  [listener.limits]")?;
        socket_limits(f, socket, *explicit_connections)?;
        if http {
            writeln!(f, "  max-streams = {}", proxy.max_streams)?;
            writeln!(
                f,
                "  max-head = {}",
                quoted(&size_text(proxy.max_head_bytes as u64))
            )?;
            writeln!(f, "  max-headers = {}", proxy.max_headers)?;
            writeln!(f, "  max-idle-upstreams = {}", proxy.max_idle_upstreams)?;
        }
        writeln!(f, "  [listener.census]")?;
        writeln!(f, "  size = {}", census.size)?;
        writeln!(f, "  addresses = {}", quoted(census.addresses.into()))?;
        writeln!(f, "  window = {}", duration(census.window))?;
        timeouts(f, proxy)
    }
}

fn upstream(
    f: &mut fmt::Formatter<'_>,
    proxy: &proxy::Settings,
    tls: &tls::Settings,
) -> fmt::Result {
    match &proxy.upstream {
        UpstreamAddr::Tunnel(reach) => tunnel::write(f, reach, tls)?,
        upstream => writeln!(f, "upstream = {}", quoted(&upstream.to_string()))?,
    }
    if matches!(proxy.upstream, UpstreamAddr::Tcp(address) if !address.ip().is_loopback()) {
        writeln!(f, "unsafe-remote-upstream = true")?;
    }
    if !proxy.proxy_protocol_from.is_empty() {
        let networks = list(proxy.proxy_protocol_from.iter().map(ToString::to_string));
        writeln!(f, "proxy-protocol-from = {networks}")?;
    }
    match proxy.protocol {
        Protocol::Tunnel => writeln!(f, "protocol = \"tunnel\""),
        Protocol::Tcp => {
            writeln!(f, "protocol = \"tcp\"")?;
            let header = quoted(proxy.upstream_proxy_protocol.into());
            writeln!(f, "upstream-proxy-protocol = {header}")
        }
        Protocol::Http => {
            writeln!(f, "protocol = \"http\"")?;
            writeln!(f, "upstream-http = {}", quoted(proxy.upstream_http.into()))?;
            writeln!(f, "forwarded = {}", quoted(proxy.forwarded.into()))?;
            let fields = proxy.access_log.0.iter().map(|field| field.name());
            words(f, "access-log", fields)?;
            writeln!(f, "stream-metrics = {}", proxy.stream_metrics)?;
            if tls.client_auth.is_none() {
                return Ok(());
            }
            let fields = proxy.identity.0.iter().map(|field| field.name());
            words(f, "identity", fields)
        }
    }
}

/// A list of words; without one, `none`.
fn words<'a>(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    words: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    match list(words).as_str() {
        "[]" => writeln!(f, "{key} = \"none\""),
        words => writeln!(f, "{key} = {words}"),
    }
}

fn tls_section(f: &mut fmt::Formatter<'_>, tls: &tls::Settings) -> fmt::Result {
    writeln!(f, "  [listener.tls]")?;
    writeln!(f, "  profile = {}", quoted(tls.profile.name()))?;
    policy(f, &tls.policy)?;
    if let Some(socket) = &tls.spiffe {
        let socket = format!("unix:{}", socket.display());
        writeln!(f, "  spiffe = {}", quoted(&socket))?;
        if let Some(hint) = &tls.spiffe_hint {
            writeln!(f, "  spiffe-hint = {}", free(hint))?;
        }
    } else {
        writeln!(f, "  cert = {}", path(&tls.cert))?;
        writeln!(f, "  key = {}", path(&tls.key))?;
    }
    let unknown_name = quoted(tls.certificates.unknown_name.into());
    writeln!(f, "  unknown-name = {unknown_name}")?;
    let pq_certificate = quoted(tls.certificates.pq_certificate.into());
    writeln!(f, "  pq-certificate = {pq_certificate}")?;
    if tls.wait_for_certificate {
        writeln!(f, "  wait-for-certificate = true")?;
    }
    client_auth(f, tls.client_auth.as_ref(), tls.spiffe.is_some())?;
    writeln!(f, "  tickets = {}", tls.tickets)?;
    if let Some(keys) = &tls.ticket_keys {
        writeln!(f, "  ticket-keys = {}", path(keys))?;
    }
    writeln!(
        f,
        "  handshake-timeout = {}",
        duration(tls.handshake_timeout)
    )?;
    writeln!(f, "  max-handshakes = {}", tls.max_handshakes)?;
    let rate = tls.handshake_rate_per_source.unwrap_or_default();
    writeln!(f, "  handshake-rate-per-source = {rate}")?;
    certificates(f, &tls.certificates)
}

fn certificates(f: &mut fmt::Formatter<'_>, settings: &tls::certificates::Settings) -> fmt::Result {
    for pair in &settings.further {
        writeln!(f, "  [[listener.tls.certificate]]")?;
        writeln!(f, "  cert = {}", path(&pair.cert))?;
        writeln!(f, "  key = {}", path(&pair.key))?;
        if !pair.names.is_empty() {
            let names: Vec<_> = pair.names.iter().map(ToString::to_string).collect();
            writeln!(f, "  names = {}", list(names.iter().map(String::as_str)))?;
        }
    }
    Ok(())
}

fn client_auth(
    f: &mut fmt::Formatter<'_>,
    settings: Option<&trust::Settings>,
    of_agent: bool,
) -> fmt::Result {
    let Some(trust::Settings {
        mode,
        ca,
        crl,
        rules,
        signatures,
        profile: _,
    }) = settings
    else {
        return writeln!(f, "  client-auth = \"off\"");
    };
    writeln!(f, "  client-auth = {}", quoted((*mode).into()))?;
    if !of_agent {
        writeln!(f, "  client-ca = {}", path(ca))?;
    }
    writeln!(f, "  signatures = {}", quoted((*signatures).into()))?;
    if let Some(crl) = crl {
        writeln!(f, "  client-crl = {}", path(crl))?;
    }
    if rules.is_any() {
        return writeln!(f, "  allow-any = true");
    }
    for (key, rules) in [
        ("allow-uri", list(rules.uris())),
        ("allow-dns", list(rules.dns())),
        ("allow-ip", list(rules.ips())),
        ("allow-cn", list(rules.common_names())),
    ] {
        if rules != "[]" {
            writeln!(f, "  {key} = {rules}")?;
        }
    }
    Ok(())
}

fn signature_section(
    f: &mut fmt::Formatter<'_>,
    settings: Option<&signature::Settings>,
    responses: Option<&signature::ResponseSettings>,
) -> fmt::Result {
    if settings.is_some() || responses.is_some() {
        writeln!(f, "  [listener.signature]")?;
    }
    if let Some(signature::Settings {
        mode,
        keys,
        require,
        cover,
        max_age,
        skew,
        replay_table,
    }) = settings
    {
        writeln!(f, "  mode = {}", quoted((*mode).into()))?;
        writeln!(f, "  keys = {}", path(keys))?;
        let require = list(require.iter().map(|kind| <&str>::from(*kind)));
        writeln!(f, "  require = {require}")?;
        let cover = list(cover.iter().map(String::as_str));
        writeln!(f, "  cover = {cover}")?;
        writeln!(f, "  max-age = {}", duration(*max_age))?;
        writeln!(f, "  skew = {}", duration(*skew))?;
        writeln!(f, "  replay-table = {replay_table}")?;
    }
    let Some(signature::ResponseSettings {
        keys,
        model,
        sse_comment,
    }) = responses
    else {
        return Ok(());
    };
    writeln!(f, "  responses = {}", path(keys))?;
    model
        .iter()
        .try_for_each(|model| writeln!(f, "  model = {}", path(model)))?;
    writeln!(f, "  sse-comment = {sse_comment}")
}

fn timeouts(f: &mut fmt::Formatter<'_>, proxy: &proxy::Settings) -> fmt::Result {
    writeln!(f, "  [listener.timeouts]")?;
    if proxy.protocol != Protocol::Tcp {
        writeln!(f, "  head-timeout = {}", duration(proxy.head_timeout))?;
    }
    if proxy.protocol == Protocol::Http {
        writeln!(
            f,
            "  keep-alive-timeout = {}",
            timeout(proxy.keep_alive_timeout)
        )?;
        let idle = duration(proxy.upstream_idle_timeout);
        writeln!(f, "  upstream-idle-timeout = {idle}")?;
        writeln!(f, "  client-timeout = {}", timeout(proxy.client_timeout))?;
    }
    writeln!(f, "  connect-timeout = {}", duration(proxy.connect_timeout))?;
    writeln!(f, "  idle-timeout = {}", timeout(proxy.idle_timeout))
}
