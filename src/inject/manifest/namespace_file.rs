//! The file of annotations by namespace. Its content is checked by the planner.

use std::path::Path;

use super::input::LARGEST;
use super::yaml;
use crate::inject::plan::NamespaceDefaults;
use crate::regular_file;

impl NamespaceDefaults {
    /// Reads and checks a file; a mistake in it names namespace, annotation and remedy.
    pub fn load(path: &str) -> Result<Self, String> {
        let text =
            regular_file::text(Path::new(path), LARGEST).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// Reads and checks the text of such a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = yaml::read(text).map_err(|error| error.to_string())?;
        Self::from_value(&value)
    }
}
