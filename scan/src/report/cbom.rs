//! The bill of materials of a report: each endpoint is a service, with what was found or why nothing was.

use serde_json::{Value, json};

use crate::args::CbomVersion;
use crate::cbom::{self, Service};
use crate::report::Report;
use crate::survey::Survey;

/// The bill of a report.
pub fn bill(report: &Report, version: CbomVersion) -> Value {
    let endpoints = report.endpoints.iter();
    let services = endpoints.map(|endpoint| match &endpoint.outcome {
        Ok(survey) => service(&endpoint.target, survey),
        // A reader must not take what is missing for what is not there.
        Err(reason) => Service {
            name: endpoint.target.clone(),
            endpoints: vec![format!("https://{}", endpoint.target)],
            properties: vec![("hybridge:not-examined".to_owned(), reason.text().to_owned())],
            ..Service::default()
        },
    });
    let services: Vec<Service> = services.collect();
    let mut bill = cbom::bill(&services, version, report.at.cast_signed());
    // What was given and is no endpoint has no service; it must not be missing without a word.
    let not_tried = report.not_tried.iter();
    let not_tried = not_tried.map(|why| json!({"name": "hybridge:not-tried", "value": why}));
    let not_tried: Vec<Value> = not_tried.collect();
    if !not_tried.is_empty() {
        bill["metadata"]["properties"] = json!(not_tried);
    }
    bill
}

fn service(target: &str, survey: &Survey) -> Service {
    let seen = &survey.certificates;
    // What is not known is not said to be missing.
    let hybrid_is = |(name, is): (&str, Option<bool>)| {
        Some((format!("hybridge:hybrid:{name}"), is?.to_string()))
    };
    let mut properties = vec![("hybridge:complete".to_owned(), survey.complete.to_string())];
    let meanings = survey.hybrid.meanings().into_iter();
    properties.extend(meanings.filter_map(hybrid_is));
    let notes = survey.notes.iter().cloned();
    properties.extend(notes.map(|note| ("hybridge:note".to_owned(), note)));
    let certificates = seen.chain.iter().chain(&seen.ml_dsa).chain(&seen.classical);
    let suite = seen.suite.iter().map(|name| name.replace("TLS13_", "TLS_"));
    Service {
        name: target.to_owned(),
        endpoints: vec![format!("https://{target}")],
        versions: survey.versions.iter().map(ToString::to_string).collect(),
        groups: survey
            .groups
            .iter()
            .map(|group| group.name.clone())
            .collect(),
        suites: suite.collect(),
        schemes: seen.scheme.iter().cloned().collect(),
        certificates: certificates.cloned().collect(),
        properties,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;
    use crate::args::ScanArgs;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        scan: ScanArgs,
    }

    #[test]
    fn what_was_not_tried_is_in_the_bill() {
        let args = Line::parse_from(["scan", "127.0.0.1:1"]).scan;
        let lines = [
            "Ingress a/b: *.example is a wildcard",
            "--targets, line 3: no port",
        ];
        for version in [CbomVersion::V16, CbomVersion::V17] {
            let not_tried = lines.map(str::to_owned).to_vec();
            let found = bill(&Report::new(Vec::new(), not_tried, 0, &args), version);
            let properties = found["metadata"]["properties"].as_array().unwrap();
            let values: Vec<_> = properties
                .iter()
                .filter(|property| property["name"] == "hybridge:not-tried")
                .map(|property| property["value"].as_str().unwrap())
                .collect();
            assert_eq!(values, lines);
            let all_tried = bill(&Report::new(Vec::new(), Vec::new(), 0, &args), version);
            assert!(all_tried["metadata"].get("properties").is_none());
        }
    }
}
