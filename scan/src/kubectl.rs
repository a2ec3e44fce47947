//! Targets in cluster objects, as `kubectl get services,ingresses,endpointslices -A -o json`
//! prints them. Offline: nothing asks an API server. What is not tried is listed with the reason.

mod kind;

use std::collections::HashSet;

use serde_json::Value;

use self::kind::{Of, text};
use crate::json;
use crate::printable::printable;
use crate::target::Target;

/// What the objects name.
#[derive(Debug, Default)]
pub struct Found {
    /// Endpoints that probably speak TLS.
    pub targets: Vec<Target>,
    /// Everything else, a line each.
    pub not_tried: Vec<String>,
    /// How many of these lines are endpoints that speak TLS and of which nothing was tried.
    pub unreached: usize,
}

/// Lists in lists, at most; kubectl prints one level.
const DEEPEST: usize = 4;

/// Reads a List, one of another kind, or one object.
pub fn read(text: &str) -> Result<Found, String> {
    if text.trim().is_empty() {
        return Err("nothing came of kubectl: its own error says why".into());
    }
    let value = json::read(text).map_err(|error| format!("no JSON of kubectl: {error}"))?;
    let mut found = Found::default();
    match value.get("items") {
        Some(Value::Array(_)) => {}
        // Null is how an empty slice of Go is printed.
        Some(Value::Null) | None if value.get("kind").is_some() => {}
        Some(_) => return Err("`items` is no list".to_owned()),
        None => return Err("neither a List nor an object with a kind".to_owned()),
    }
    found.read(&value, Of::default(), 0);
    Ok(found)
}

impl Found {
    fn read(&mut self, value: &Value, list: Of<'_>, depth: usize) {
        let of = Of::read(value, list);
        let is_list = of.kind.ends_with("List") || of.kind.is_empty();
        match value.get("items") {
            Some(Value::Array(items)) if is_list && depth < DEEPEST => {
                for item in items {
                    self.read(item, of.items(), depth + 1);
                }
            }
            Some(Value::Null) if is_list => {}
            Some(_) if is_list => self.miss("a list in a list", "it cannot be read"),
            _ => self.object(value, of),
        }
    }

    fn object(&mut self, object: &Value, of: Of<'_>) {
        if of.kind.is_empty() {
            // It may be any endpoint.
            return self.miss("an item without a kind", "nothing says what it is");
        }
        let kind = of.kind;
        let name = text(object, "/metadata/name").unwrap_or("?");
        let namespace = text(object, "/metadata/namespace").unwrap_or("default");
        let what = format!("{kind} {namespace}/{name}");
        let before = self.targets.len() + self.not_tried.len();
        match (of.group(), kind) {
            ("", "Service") => self.service(object, &what, name, namespace),
            ("" | "networking.k8s.io" | "extensions", "Ingress") => self.ingress(object, &what),
            ("" | "gateway.networking.k8s.io", "Gateway") => self.gateway(object, &what),
            ("networking.istio.io", "Gateway") => self.istio_gateway(object, &what),
            ("" | "discovery.k8s.io", "EndpointSlice") => self.slice(object, &what),
            _ => self.skip(&what, "this kind names no endpoint that a scan knows"),
        }
        // Every object is a target or a line.
        if before == self.targets.len() + self.not_tried.len() {
            self.skip(&what, "it names no port and no host to try");
        }
    }

    fn service(&mut self, object: &Value, what: &str, name: &str, namespace: &str) {
        let host = match text(object, "/spec/externalName") {
            Some(external) => external.to_owned(),
            None => format!("{name}.{namespace}.svc"),
        };
        for port in list(object, "/spec/ports") {
            let number = port.get("port").and_then(Value::as_u64);
            if speaks_tls(port, number) {
                self.add(what, &host, number);
            } else {
                self.skip(what, &format!("port {} is not named as TLS", shown(number)));
            }
        }
    }

    fn ingress(&mut self, object: &Value, what: &str) {
        let (mut secured, mut every) = (HashSet::new(), false);
        let mut wildcards = Vec::new();
        for section in list(object, "/spec/tls") {
            let hosts = list(section, "/hosts");
            // Without hosts the section is for all of them.
            every |= hosts.is_empty();
            for host in hosts.iter().filter_map(Value::as_str) {
                secured.insert(host);
                wildcards.extend(host.strip_prefix("*."));
                self.add(what, host, Some(443));
            }
        }
        // A host that a wildcard covers is tried in its place.
        let hosts = list(object, "/spec/rules").iter();
        let hosts = hosts.filter_map(|rule| text(rule, "/host"));
        let hosts = hosts.filter(|host| !host.contains('*'));
        let parents: HashSet<_> = hosts.filter_map(parent).collect();
        let stood_for = wildcards.iter().filter(|name| parents.contains(**name));
        self.unreached -= stood_for.count();
        let wildcards: HashSet<_> = wildcards.into_iter().collect();
        let mut tried = false;
        for rule in list(object, "/spec/rules") {
            let host = text(rule, "/host").unwrap_or("*");
            if secured.contains(&host) {
                continue;
            }
            tried |= every;
            if every || parent(host).is_some_and(|parent| wildcards.contains(parent)) {
                self.add(what, host, Some(443));
            } else {
                self.skip(what, &format!("host {host} has no TLS section"));
            }
        }
        if every && !tried {
            self.miss(what, "a TLS section for every host, and no rule names one");
        }
    }

    fn gateway(&mut self, object: &Value, what: &str) {
        let addresses = list(object, "/status/addresses").iter();
        let addresses: Vec<_> = addresses
            .filter_map(|address| text(address, "/value"))
            .collect();
        for listener in list(object, "/spec/listeners") {
            let number = listener.get("port").and_then(Value::as_u64);
            let protocol = text(listener, "/protocol").unwrap_or("?");
            if !matches!(protocol, "HTTPS" | "TLS") {
                self.skip(what, &format!("port {} speaks {protocol}", shown(number)));
                continue;
            }
            match text(listener, "/hostname") {
                Some(host) => self.add(what, host, number),
                None if addresses.is_empty() => self.miss(
                    what,
                    "a listener without host name, and no address in its status",
                ),
                None => addresses
                    .iter()
                    .for_each(|address| self.add(what, address, number)),
            }
        }
    }

    /// Its hosts may begin with a namespace, as in `ai/chat.example`.
    fn istio_gateway(&mut self, object: &Value, what: &str) {
        for server in list(object, "/spec/servers") {
            let number = server.pointer("/port/number").and_then(Value::as_u64);
            let protocol = text(server, "/port/protocol").unwrap_or("?");
            if !speaks_tls_of_istio(protocol, server.get("tls")) {
                self.skip(what, &format!("port {} speaks {protocol}", shown(number)));
                continue;
            }
            let hosts = list(server, "/hosts").iter().filter_map(Value::as_str);
            let hosts = hosts.map(|host| host.rsplit('/').next().unwrap_or(host));
            let mut any = false;
            for host in hosts {
                any = true;
                self.add(what, host, number);
            }
            if !any {
                self.miss(what, "a server that names no host");
            }
        }
    }

    fn slice(&mut self, object: &Value, what: &str) {
        for port in list(object, "/ports") {
            let number = port.get("port").and_then(Value::as_u64);
            if !speaks_tls(port, number) {
                self.skip(what, &format!("port {} is not named as TLS", shown(number)));
                continue;
            }
            for address in list(object, "/endpoints")
                .iter()
                .flat_map(|endpoint| list(endpoint, "/addresses"))
            {
                match address.as_str() {
                    Some(address) => self.add(what, address, number),
                    None => self.miss(what, "an address that is no text"),
                }
            }
        }
    }

    fn add(&mut self, what: &str, host: &str, port: Option<u64>) {
        let Some(number) = port.filter(|port| (1..=65535).contains(port)) else {
            return self.miss(
                what,
                &format!("{host}: its port is no number from 1 to 65535"),
            );
        };
        if host.contains('*') {
            return self.miss(what, &format!("{host} is a wildcard"));
        }
        let bracketed = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        match format!("{bracketed}:{number}").parse() {
            Ok(target) => self.targets.push(target),
            Err(why) => self.miss(what, &why),
        }
    }

    /// Something that speaks TLS and cannot be tried.
    fn miss(&mut self, what: &str, why: &str) {
        self.unreached += 1;
        self.skip(what, why);
    }

    fn skip(&mut self, what: &str, why: &str) {
        self.not_tried.push(printable(&format!("{what}: {why}")));
    }
}

/// What a wildcard that stands for a host has behind `*.`: it stands for one label.
fn parent(host: &str) -> Option<&str> {
    host.split_once('.').map(|(_, parent)| parent)
}

/// Whether clients of a server of Istio's Gateway speak TLS: its `tls` makes TLS of any protocol but plaintext HTTP, where it
/// only redirects.
fn speaks_tls_of_istio(protocol: &str, tls: Option<&Value>) -> bool {
    match protocol.to_ascii_uppercase().as_str() {
        "HTTPS" | "TLS" => true,
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => false,
        _ => tls.is_some_and(Value::is_object),
    }
}

/// By name, by appProtocol, or by one of the usual numbers.
fn speaks_tls(port: &Value, number: Option<u64>) -> bool {
    let named = |key: &str| {
        let name = text(port, key).unwrap_or_default();
        let first = name.split(['-', '/']).next().unwrap_or_default();
        matches!(first, "https" | "tls" | "grpcs" | "wss") || name.ends_with("/wss")
    };
    let udp = text(port, "/protocol") == Some("UDP");
    !udp && (named("/name") || named("/appProtocol") || matches!(number, Some(443 | 6443 | 8443)))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn shown(port: Option<u64>) -> String {
    port.map_or("?".to_owned(), |port| port.to_string())
}

#[cfg(test)]
mod tests;
