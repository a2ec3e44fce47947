//! Paths in commands that are printed to be copied.

use std::path::Path;

/// A path as one word of a POSIX shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_awkward_path_stays_one_word() {
        assert_eq!(
            shell_word(Path::new("/tmp/a-b_c.d/ca.crt")),
            "/tmp/a-b_c.d/ca.crt"
        );
        assert_eq!(shell_word(Path::new("c 1/x;y")), "'c 1/x;y'");
        assert_eq!(shell_word(Path::new("")), "''");
        assert_eq!(
            shell_word(Path::new("/tmp/it's here")),
            r"'/tmp/it'\''s here'"
        );
    }
}
