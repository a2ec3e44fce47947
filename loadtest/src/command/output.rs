//! Where results go: a folder of their own, named by the time, unless told; what is there is not overwritten unasked.

use std::path::{Path, PathBuf};

use crate::cli::Output;
use crate::error::{Error, Result};

/// Holds the folders named by the time.
const BASE: &str = "loadtest-results";

/// Makes the folder; `file` is what would be overwritten in it.
pub(super) fn folder(output: &Output, file: &str) -> Result<PathBuf> {
    let Some(folder) = &output.out else {
        return named_by_time(Path::new(BASE));
    };
    let kept = folder.join(file);
    if kept.is_file() && !output.overwrite {
        return Err(Error::Usage(format!(
            "{} is there already; choose another --out, or add --overwrite to replace it",
            kept.display()
        )));
    }
    create(folder)?;
    Ok(folder.clone())
}

pub(super) fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))
}

/// A new folder, such as `2026-11-25T190638Z`; a second one of that second gets a number.
fn named_by_time(base: &Path) -> Result<PathBuf> {
    create(base)?;
    let now = time::OffsetDateTime::now_utc();
    let name = format!(
        "{}T{:02}{:02}{:02}Z",
        now.date(),
        now.hour(),
        now.minute(),
        now.second()
    );
    for number in 1..1000 {
        let folder = base.join(if number == 1 {
            name.clone()
        } else {
            format!("{name}-{number}")
        });
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::write(&folder, source)),
        }
    }
    Err(Error::Usage(format!(
        "{} has a thousand folders of this second; name one with --out",
        base.display()
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_runs_of_one_second_have_folders_of_their_own() {
        let base = tempfile::tempdir().unwrap();
        let (a, b) = (
            named_by_time(base.path()).unwrap(),
            named_by_time(base.path()).unwrap(),
        );
        assert_ne!(a, b);
    }

    #[test]
    fn results_are_replaced_only_when_asked() {
        let base = tempfile::tempdir().unwrap();
        let asked = |overwrite| Output {
            out: Some(base.path().to_owned()),
            overwrite,
        };
        assert_eq!(folder(&asked(false), "results.json").unwrap(), base.path());
        std::fs::write(base.path().join("results.json"), "{}").unwrap();
        let refused = folder(&asked(false), "results.json").unwrap_err();
        assert!(refused.to_string().contains("--overwrite"), "{refused}");
        assert!(folder(&asked(true), "results.json").is_ok());
    }
}
