//! The file of annotations by namespace. Its content is checked by the planner.

use super::yaml;
use crate::inject::plan::NamespaceDefaults;

impl NamespaceDefaults {
    /// Reads and checks a file; a mistake in it names namespace, annotation and remedy.
    pub fn load(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// Reads and checks the text of such a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = yaml::read(text).map_err(|error| error.to_string())?;
        Self::from_value(&value)
    }
}
