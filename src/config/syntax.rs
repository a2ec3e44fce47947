//! What the parser of TOML says, with the remedy where it names none.

/// The message about what stands at `at`.
pub(super) fn explained(path: &str, text: &str, at: usize, message: String) -> String {
    if is_other_format(path, text) {
        return format!("{message}: the configuration is TOML, and this looks like YAML or JSON");
    }
    if !message.contains("quoted") && is_unquoted(line(text, at)) {
        return format!("{message}: string values must be quoted");
    }
    message
}

fn line(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let rest = text.get(start..).unwrap_or_default();
    rest.lines().next().unwrap_or_default()
}

/// `listen = 127.0.0.1:8443`: a value that is no number and has no quotation mark.
fn is_unquoted(line: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else {
        return false;
    };
    let value = value.split('#').next().unwrap_or_default().trim();
    let is_list = value.starts_with('[') && !value.contains("]:");
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '[' | ':' | '/' | '.' | '$');
    value.starts_with(is_word)
        && !value.contains(['"', '\''])
        && !is_list
        && value.parse::<f64>().is_err()
        && !matches!(value, "true" | "false")
}

fn is_other_format(path: &str, text: &str) -> bool {
    let by_name = [".yaml", ".yml", ".json"];
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let is_mapping = first.ends_with(':') || (first.contains(": ") && !first.contains('='));
    by_name.iter().any(|ending| path.ends_with(ending))
        || first == "---"
        || first.starts_with('{')
        || is_mapping
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use toml::de::DeTable;

    use super::*;

    fn said(path: &str, text: &str) -> String {
        let error = DeTable::parse(text).unwrap_err();
        let at = error.span().unwrap_or_default().start;
        explained(path, text, at, error.message().to_owned())
    }

    #[test]
    fn a_value_without_quotes_is_told_so() {
        for value in [
            "127.0.0.1:8443",
            "[::1]:8443",
            ":8443",
            "$POD_IPS:8443",
            "5s",
            "5m # long",
            "tls.crt",
            "/etc/tls.crt",
            "hybrid-required",
            "64Mi",
        ] {
            let said = said("h.toml", &format!("[[listener]]\nlisten = {value}\n"));
            assert!(
                said.contains("string values must be quoted"),
                "{value}: {said}"
            );
        }
        for value in ["\"a", "'a", "[1", "["] {
            let said = said("h.toml", &format!("listen = {value}\n"));
            assert!(
                !said.contains("string values must be quoted"),
                "{value}: {said}"
            );
        }
    }

    #[test]
    fn another_format_is_told_so() {
        for (path, text) in [
            ("h.yaml", "listener = {\n"),
            ("h", "listener:\n  - listen: 0.0.0.0:8443\n"),
            ("h", "# mine\nlog: {level: info}\n"),
            ("h", "---\nlog: {level: info}\n"),
            ("h", "{\"log\": {}}\n"),
        ] {
            let said = said(path, text);
            assert!(said.contains("the configuration is TOML"), "{text}: {said}");
        }
        assert!(!said("h.toml", "a = \n").contains("TOML, and"));
    }
}
