//! What a server may refuse without a failure of the run.

use super::load::Crew;
use crate::error::{Error, Result};

/// A server may prefer to save the round trip: then there is no retry to measure, which is no failure of the run.
pub(super) async fn refusal(crews: &mut [Crew]) -> Result<Option<String>> {
    for crew in crews {
        match crew.probe().await {
            Err(error @ Error::Negotiated { .. }) => return Ok(Some(error.to_string())),
            outcome => outcome?,
        }
    }
    Ok(None)
}
