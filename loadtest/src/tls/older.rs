//! Older labels of a certificate in PEM, which the reader of PEM passes over without a word.

const OLDER: [&str; 2] = ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// Refuses a text with such a block, by its name.
pub(super) fn refuse(pem: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(pem);
    let is_there = |label: &&&str| text.contains(&format!("-----BEGIN {label}-----"));
    match OLDER.iter().find(is_there) {
        None => Ok(()),
        Some(label) => Err(format!(
            "holds a block `{label}`, an older form: write it anew with `openssl x509 -in FILE -out NEW`"
        )),
    }
}
