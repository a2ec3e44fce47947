//! Versions of the libraries this program was built with, from the lock file it was built with.

const LOCK: &str = include_str!("../../Cargo.lock");

/// How this program was built.
pub const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "optimised"
};

/// `name version`; only the name where the lock file does not hold it.
pub fn of(name: &str) -> String {
    let mut lines = LOCK
        .lines()
        .skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_has_its_version_and_an_unknown_one_only_its_name() {
        assert!(of("rustls").starts_with("rustls 0.23."), "{}", of("rustls"));
        assert_eq!(of("no-such-library"), "no-such-library");
    }
}
