//! The section of traces, where they are exported.

use std::fmt;

use super::text::{duration, path, quoted};
use crate::tls::client::CaSource;
use crate::traces::Settings;

pub(super) fn write(f: &mut fmt::Formatter<'_>, settings: &Settings) -> fmt::Result {
    let Settings {
        endpoint,
        tls,
        service_name,
        sample,
        queue,
        timeout,
    } = settings;
    writeln!(f, "\n[traces]")?;
    // With a path it is no URL, so that a process that is given this text says that it lacks the path.
    writeln!(f, "endpoint = {}", quoted(&endpoint.to_string()))?;
    if !endpoint.is_https() && !endpoint.is_local() {
        writeln!(f, "unsafe-remote-endpoint = true")?;
    }
    match tls.as_ref().map(|tls| &tls.ca) {
        Some(CaSource::File(file)) => writeln!(f, "ca = {}", path(file))?,
        Some(CaSource::System) => writeln!(f, "ca = \"system\"")?,
        None => {}
    }
    writeln!(f, "service-name = {}", quoted(service_name))?;
    writeln!(f, "sample = {sample}")?;
    writeln!(f, "queue = {queue}")?;
    writeln!(f, "timeout = {}", duration(*timeout))
}
