//! Names as apps read them: CGI and WSGI know neither letter case nor the hyphen.

/// Whether a name is ours, letter case and underscores aside.
pub(super) fn same(name: &[u8], ours: &str) -> bool {
    name.len() == ours.len() && name.iter().map(|b| folded(*b)).eq(ours.bytes())
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}
