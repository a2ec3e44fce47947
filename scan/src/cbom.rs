//! A cryptography bill of materials, CycloneDX 1.6 or 1.7: services in the words of that format. What is
//! known of a service may be observed by a scan, by a running sidecar, or read from a configuration.

mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::values::{kem, oid, serial, uncompressed};
use crate::args::CbomVersion;
use crate::certificate::Certificate;
use crate::level::level;
use crate::moment::rfc3339;

/// A service that speaks TLS. What is not known is left empty.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Its name, which no other service of the bill has.
    pub name: String,
    /// Where it is reached, as URLs.
    pub endpoints: Vec<String>,
    /// Versions of TLS, the newest first. All that follows is of the newest.
    pub versions: Vec<String>,
    /// Groups by IANA's names, in the order of preference.
    pub groups: Vec<String>,
    /// Cipher suites by IANA's names.
    pub suites: Vec<String>,
    /// The schemes that the server signs handshakes with, by IANA's names.
    pub schemes: Vec<String>,
    /// Its certificates and those above them. `signature` may be empty.
    pub certificates: Vec<Certificate>,
    /// What else is known, by names such as `hybridge:hybrid:present`.
    pub properties: Vec<(String, String)>,
}

/// The bill of these services at a moment, in seconds since 1970.
pub fn bill(services: &[Service], version: CbomVersion, at: i64) -> Value {
    let mut bill = Bill {
        version,
        components: BTreeMap::new(),
        dependencies: BTreeMap::new(),
        services: Vec::new(),
    };
    for service in services {
        bill.service(service);
    }
    let spec = match version {
        CbomVersion::V16 => "1.6",
        CbomVersion::V17 => "1.7",
    };
    let dependencies: Vec<Value> = bill
        .dependencies
        .iter()
        .map(|(name, on)| json!({"ref": name, "dependsOn": on}))
        .collect();
    json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{spec}.schema.json"),
        "bomFormat": "CycloneDX",
        "specVersion": spec,
        "serialNumber": serial(),
        "version": 1,
        "metadata": {
            "timestamp": rfc3339(at),
            "tools": {"components": [
                {"type": "application", "name": "hybridge", "version": env!("CARGO_PKG_VERSION")}
            ]},
        },
        "components": bill.components.into_values().collect::<Vec<_>>(),
        "services": bill.services,
        "dependencies": dependencies,
    })
}

struct Bill {
    version: CbomVersion,
    components: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
    services: Vec<Value>,
}

impl Bill {
    fn service(&mut self, service: &Service) {
        let groups = service.groups.iter().map(|name| self.group(name));
        let mut uses: BTreeSet<String> = groups.collect();
        for certificate in &service.certificates {
            uses.insert(self.certificate(certificate));
        }
        let references: Vec<String> = uses.iter().cloned().collect();
        let name = &service.name;
        let mut protocols = BTreeSet::new();
        for (index, version) in service.versions.iter().enumerate() {
            let reference = format!("protocol:tls-{version}@{name}");
            let mut properties = json!({"type": "tls", "version": version});
            if index == 0 {
                properties["cryptoRefArray"] = json!(references);
                let suites = service
                    .suites
                    .iter()
                    .map(|suite| self.suite(suite, service));
                let suites: Vec<Value> = suites.collect();
                if !suites.is_empty() {
                    properties["cipherSuites"] = json!(suites);
                }
                self.dependencies.insert(reference.clone(), uses.clone());
            }
            let crypto = json!({"assetType": "protocol", "protocolProperties": properties});
            self.asset(&reference, &format!("TLS {version}"), &crypto);
            protocols.insert(reference);
        }
        let reference = format!("service:{name}");
        self.dependencies.insert(reference.clone(), protocols);
        let properties = service.properties.iter();
        let properties = properties.map(|(name, value)| json!({"name": name, "value": value}));
        self.services.push(json!({
            "bom-ref": reference,
            "name": name,
            "endpoints": service.endpoints.iter().map(|url| uncompressed(url)).collect::<Vec<_>>(),
            "properties": properties.collect::<Vec<_>>(),
        }));
    }

    fn suite(&self, name: &str, service: &Service) -> Value {
        let mut suite = json!({"name": name});
        if self.version == CbomVersion::V17 {
            suite["tlsGroups"] = json!(service.groups);
            if !service.schemes.is_empty() {
                suite["tlsSignatureSchemes"] = json!(service.schemes);
            }
        }
        suite
    }

    /// A group and, if it is a hybrid, what it combines.
    fn group(&mut self, name: &str) -> String {
        let reference = format!("algorithm:{name}");
        let parts: &[&str] = match name {
            "X25519MLKEM768" => &["X25519", "MLKEM768"],
            "SecP256r1MLKEM768" => &["secp256r1", "MLKEM768"],
            "SecP384r1MLKEM1024" => &["secp384r1", "MLKEM1024"],
            _ => &[],
        };
        let hybrid = !parts.is_empty() || name.contains("MLKEM") && !name.starts_with("MLKEM");
        let kyber = name.contains("Kyber");
        let mut properties = match name {
            "MLKEM512" => kem("512", 1),
            "MLKEM768" => kem("768", 3),
            "MLKEM1024" => kem("1024", 5),
            _ if hybrid || kyber => {
                json!({"primitive": "combiner", "cryptoFunctions": ["encapsulate", "decapsulate"]})
            }
            _ => {
                json!({"primitive": "key-agree", "cryptoFunctions": ["keyderive"], "nistQuantumSecurityLevel": 0})
            }
        };
        if self.version == CbomVersion::V17 {
            match name {
                "MLKEM512" | "MLKEM768" | "MLKEM1024" => {
                    properties["algorithmFamily"] = json!("ML-KEM");
                }
                "X25519" => properties["ellipticCurve"] = json!("other/Curve25519"),
                "secp256r1" => properties["ellipticCurve"] = json!("nist/P-256"),
                "secp384r1" => properties["ellipticCurve"] = json!("nist/P-384"),
                "secp521r1" => properties["ellipticCurve"] = json!("nist/P-521"),
                _ => {}
            }
        }
        let mut crypto = json!({"assetType": "algorithm", "algorithmProperties": properties});
        if let Some(oid) = oid(name) {
            crypto["oid"] = json!(oid);
        }
        self.asset(&reference, name, &crypto);
        let on: BTreeSet<String> = parts.iter().map(|part| self.group(part)).collect();
        if !on.is_empty() {
            self.dependencies.insert(reference.clone(), on);
        }
        reference
    }

    fn certificate(&mut self, certificate: &Certificate) -> String {
        let reference = format!("certificate:sha256:{}", certificate.sha256);
        let signed = Some(&certificate.signature).filter(|name| !name.is_empty());
        let signature = signed.map(|name| self.signature(name));
        let key = self.signature(&certificate.key);
        let mut properties = json!({
            "subjectName": certificate.subject,
            "issuerName": certificate.issuer,
            "notValidBefore": rfc3339(certificate.not_before),
            "notValidAfter": rfc3339(certificate.not_after),
            "certificateFormat": "X.509",
        });
        if let Some(signature) = &signature {
            properties["signatureAlgorithmRef"] = json!(signature);
        }
        if self.version == CbomVersion::V17 {
            properties["serialNumber"] = json!(certificate.serial);
            properties["fingerprint"] = json!({"alg": "SHA-256", "content": certificate.sha256});
        }
        let crypto = json!({"assetType": "certificate", "certificateProperties": properties});
        self.asset(&reference, &certificate.subject, &crypto);
        let on = signature.into_iter().chain([key]).collect();
        self.dependencies.insert(reference.clone(), on);
        reference
    }

    fn signature(&mut self, name: &str) -> String {
        let reference = format!("algorithm:{name}");
        let mut properties = json!({
            "primitive": "signature",
            "cryptoFunctions": ["sign", "verify"],
        });
        if let Some(level) = level(name) {
            properties["nistQuantumSecurityLevel"] = json!(level);
        }
        // A group of that name says more.
        if !self.components.contains_key(&reference) {
            let crypto = json!({"assetType": "algorithm", "algorithmProperties": properties});
            self.asset(&reference, name, &crypto);
        }
        reference
    }

    fn asset(&mut self, reference: &str, name: &str, crypto: &Value) {
        let asset = json!({
            "type": "cryptographic-asset",
            "bom-ref": reference,
            "name": name,
            "cryptoProperties": crypto,
        });
        self.components.insert(reference.to_owned(), asset);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_algorithm_that_is_not_known_has_no_level() {
        let certificate = |key: &str| Certificate {
            subject: "CN=a".to_owned(),
            issuer: "CN=a".to_owned(),
            serial: "01".to_owned(),
            names: Vec::new(),
            not_before: 0,
            not_before_time: String::new(),
            not_after: 1,
            not_after_time: String::new(),
            key: key.to_owned(),
            signature: String::new(),
            sha256: key.to_owned(),
        };
        let composite = "1.3.6.1.5.5.7.6.40";
        let keys = ["SLH-DSA-SHAKE-192f", "Ed25519", composite];
        let service = Service {
            certificates: keys.map(certificate).to_vec(),
            ..Service::default()
        };
        let bill = bill(&[service], CbomVersion::V17, 0);
        let level = |name: &str| {
            let mut parts = bill["components"].as_array().unwrap().iter();
            let part = parts.find(|part| part["name"] == name).unwrap();
            let properties = &part["cryptoProperties"]["algorithmProperties"];
            properties.get("nistQuantumSecurityLevel").cloned()
        };
        assert_eq!(level(keys[0]), Some(json!(3)));
        assert_eq!(level(keys[1]), Some(json!(0)));
        assert_eq!(level(composite), None);
    }
}
