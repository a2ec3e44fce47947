//! A cryptography bill of materials, CycloneDX 1.6 or 1.7: what was observed, in the words of that format.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::args::CbomVersion;
use crate::certificates::{Certificate, hex};
use crate::oids::is_post_quantum;
use crate::report::Report;
use crate::survey::Survey;

/// The bill of a report.
pub fn bill(report: &Report, version: CbomVersion) -> Value {
    let mut bill = Bill {
        version,
        components: BTreeMap::new(),
        dependencies: BTreeMap::new(),
        services: Vec::new(),
    };
    for endpoint in &report.endpoints {
        if let Ok(survey) = &endpoint.outcome {
            bill.endpoint(&endpoint.target, survey);
        }
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
            "timestamp": timestamp(report.at.cast_signed()),
            "tools": {"components": [
                {"type": "application", "name": "hybridge", "version": report.version}
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
    fn endpoint(&mut self, target: &str, survey: &Survey) {
        let mut uses: BTreeSet<String> = BTreeSet::new();
        for group in &survey.groups {
            uses.insert(self.group(&group.name));
        }
        for certificate in &survey.certificates.chain {
            uses.insert(self.certificate(certificate));
        }
        let others = &survey.certificates;
        for certificate in others.ml_dsa.iter().chain(&others.classical) {
            uses.insert(self.certificate(certificate));
        }
        let references: Vec<String> = uses.iter().cloned().collect();
        let service = format!("service:{target}");
        let mut protocols = BTreeSet::new();
        for version in &survey.versions {
            let name = format!("protocol:tls-{version}@{target}");
            let mut properties = json!({"type": "tls", "version": version});
            // The certificates and the suite were seen with the newest version.
            if survey.versions.first() == Some(version) {
                properties["cryptoRefArray"] = json!(references);
                if let Some(suite) = self.suite(survey) {
                    properties["cipherSuites"] = json!([suite]);
                }
                self.dependencies.insert(name.clone(), uses.clone());
            }
            self.components.insert(
                name.clone(),
                json!({
                    "type": "cryptographic-asset",
                    "bom-ref": name,
                    "name": format!("TLS {version}"),
                    "cryptoProperties": {
                        "assetType": "protocol",
                        "protocolProperties": properties,
                    },
                }),
            );
            protocols.insert(name);
        }
        self.dependencies.insert(service.clone(), protocols);
        let hybrid = survey.hybrid;
        let property = |name: &str, value: bool| json!({"name": format!("hybridge:hybrid:{name}"), "value": value.to_string()});
        self.services.push(json!({
            "bom-ref": service,
            "name": target,
            "endpoints": [format!("https://{target}")],
            "properties": [
                property("present", hybrid.present),
                property("preferred", hybrid.preferred),
                property("held", hybrid.held),
                property("enforced", hybrid.enforced),
            ],
        }));
    }

    fn suite(&self, survey: &Survey) -> Option<Value> {
        let name = survey.certificates.suite.as_deref()?;
        let name = name.replace("TLS13_", "TLS_");
        let mut suite = json!({"name": name});
        if self.version == CbomVersion::V17 {
            let groups = survey.groups.iter().map(|group| group.name.as_str());
            suite["tlsGroups"] = groups.map(Value::from).collect();
            if let Some(scheme) = &survey.certificates.scheme {
                suite["tlsSignatureSchemes"] = json!([scheme]);
            }
        }
        Some(suite)
    }

    /// A group and, if it is a hybrid, what it combines.
    fn group(&mut self, name: &str) -> String {
        let reference = format!("algorithm:{name}");
        let parts: &[&str] = match name {
            "X25519MLKEM768" => &["x25519", "MLKEM768"],
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
                "x25519" => properties["ellipticCurve"] = json!("other/Curve25519"),
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
        self.components.insert(
            reference.clone(),
            json!({
                "type": "cryptographic-asset",
                "bom-ref": reference,
                "name": name,
                "cryptoProperties": crypto,
            }),
        );
        let on: BTreeSet<String> = parts.iter().map(|part| self.group(part)).collect();
        if !on.is_empty() {
            self.dependencies.insert(reference.clone(), on);
        }
        reference
    }

    fn certificate(&mut self, certificate: &Certificate) -> String {
        let reference = format!("certificate:sha256:{}", certificate.sha256);
        let signature = self.signature(&certificate.signature);
        let key = self.signature(&certificate.key);
        let mut properties = json!({
            "subjectName": certificate.subject,
            "issuerName": certificate.issuer,
            "notValidBefore": timestamp(certificate.not_before),
            "notValidAfter": timestamp(certificate.not_after),
            "signatureAlgorithmRef": signature,
            "certificateFormat": "X.509",
        });
        if self.version == CbomVersion::V17 {
            properties["serialNumber"] = json!(certificate.serial);
            properties["fingerprint"] = json!({"alg": "SHA-256", "content": certificate.sha256});
        }
        self.components.insert(
            reference.clone(),
            json!({
                "type": "cryptographic-asset",
                "bom-ref": reference,
                "name": certificate.subject,
                "cryptoProperties": {
                    "assetType": "certificate",
                    "certificateProperties": properties,
                },
            }),
        );
        self.dependencies
            .insert(reference.clone(), [signature, key].into());
        reference
    }

    fn signature(&mut self, name: &str) -> String {
        let reference = format!("algorithm:{name}");
        let level = match name {
            "ML-DSA-44" => 2,
            "ML-DSA-65" | "SLH-DSA-SHA2-192s" => 3,
            "ML-DSA-87" | "SLH-DSA-SHA2-256s" => 5,
            _ => u8::from(is_post_quantum(name)),
        };
        let properties = json!({
            "primitive": "signature",
            "cryptoFunctions": ["sign", "verify"],
            "nistQuantumSecurityLevel": level,
        });
        self.components.entry(reference.clone()).or_insert_with(|| {
            json!({
                "type": "cryptographic-asset",
                "bom-ref": reference,
                "name": name,
                "cryptoProperties": {
                    "assetType": "algorithm",
                    "algorithmProperties": properties,
                },
            })
        });
        reference
    }
}

fn kem(set: &str, level: u8) -> Value {
    json!({
        "primitive": "kem",
        "parameterSetIdentifier": set,
        "cryptoFunctions": ["keygen", "encapsulate", "decapsulate"],
        "nistQuantumSecurityLevel": level,
    })
}

/// ML-KEM of FIPS 203, in NIST's arc.
fn oid(name: &str) -> Option<&'static str> {
    match name {
        "MLKEM512" => Some("2.16.840.1.101.3.4.4.1"),
        "MLKEM768" => Some("2.16.840.1.101.3.4.4.2"),
        "MLKEM1024" => Some("2.16.840.1.101.3.4.4.3"),
        "x25519" => Some("1.3.101.110"),
        "x448" => Some("1.3.101.111"),
        _ => None,
    }
}

/// A random UUID (RFC 9562 §5.4) as a URN.
fn serial() -> String {
    let mut bytes = [0; 16];
    // Without randomness it would be all zeros: valid, and not unique.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn timestamp(seconds: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = at.and_then(|at| {
        at.format(&time::format_description::well_known::Rfc3339)
            .ok()
    });
    text.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}
