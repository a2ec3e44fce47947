//! Variables by which the app learns of its egress.

use super::reader::{Reader, wrong};
use crate::inject::plan::deny::Deny;

pub(super) const NAME: &str = "egress-env";

/// `NAME=VALUE` entries, a comma between them. A value may have commas itself, as that of NO_PROXY does: what
/// is no `NAME=` belongs to the entry before.
pub(super) fn parse(read: &Reader<'_>) -> Result<Vec<(String, String)>, Deny> {
    if read.is_none(NAME) {
        return Ok(Vec::new());
    }
    // A value may be a credential: no refusal repeats it.
    let env = match read.parsed(NAME, "", |text| Some(entries(text)))? {
        Some(Some(env)) => env,
        Some(None) => {
            return Err(wrong(
                NAME,
                "does not begin with the name of a variable and `=`; write NAME=VALUE, separated by commas, such as MASTER_ADDR=127.0.1.1,MASTER_PORT=29500, or none",
            ));
        }
        None => Vec::new(),
    };
    for (position, (name, _)) in env.iter().enumerate() {
        if env[..position].iter().any(|(other, _)| other == name) {
            return Err(wrong(NAME, &format!("has {name} twice; keep one")));
        }
    }
    Ok(env)
}

fn entries(text: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for piece in text.split(',') {
        if let Some((name, value)) = piece
            .split_once('=')
            .filter(|(name, _)| is_name(name.trim()))
        {
            found.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            let (_, value) = found.last_mut()?;
            value.push(',');
            value.push_str(piece.trim());
        }
    }
    Some(found)
}

fn is_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(valid) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_have_commas() {
        let of = |text| {
            entries(text).map(|found| {
                found
                    .into_iter()
                    .map(|(n, v)| format!("{n}|{v}"))
                    .collect::<Vec<_>>()
            })
        };
        let expected = |list: &[&str]| Some(list.iter().map(|e| (*e).to_owned()).collect());
        assert_eq!(of("A=1, B=2"), expected(&["A|1", "B|2"]));
        assert_eq!(
            of("NO_PROXY=127.0.0.1, .svc,http_proxy=http://127.0.0.1:3128/?a=b"),
            expected(&[
                "NO_PROXY|127.0.0.1,.svc",
                "http_proxy|http://127.0.0.1:3128/?a=b"
            ])
        );
        assert_eq!(of("A="), expected(&["A|"]));
        assert_eq!(of("A"), None);
        assert_eq!(of("1A=2"), None);
        assert_eq!(of(""), None);
    }
}
