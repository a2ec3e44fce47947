//! Standard output for results, standard error for progress.

use std::io::Write;

use crate::error::{Error, Result};
pub(super) use crate::terminal::say;

pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::Output)
}

/// Ends a command that has printed: a verdict outranks a reader that has gone.
pub(super) fn conclude(printed: Result<()>, code: u8) -> Result<u8> {
    match printed {
        Err(error) if code != 0 => {
            if !error.is_broken_pipe() {
                say(&format!("hybridge-loadtest: {error}"));
            }
            Ok(code)
        }
        printed => printed.map(|()| code),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_reader_that_has_gone_does_not_hide_the_verdict() {
        let gone = || Err(Error::Output(ErrorKind::BrokenPipe.into()));
        assert_eq!(conclude(Ok(()), 3).unwrap(), 3);
        assert_eq!(conclude(gone(), 3).unwrap(), 3);
        assert_eq!(conclude(Ok(()), 0).unwrap(), 0);
        assert_eq!(conclude(gone(), 0).unwrap_err().exit_code(), 141);
    }
}
