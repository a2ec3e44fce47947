//! The way to a target: the relay of an emulated link, verified before use.

use super::Run;
use super::target::Resolved;
use crate::error::{Error, Result};
use crate::net::relay::{Relay, Verification, verify};
use crate::plan::Case;
use crate::results::Results;

impl Run {
    pub(super) async fn verify_link(&self, case: &Case, results: &mut Results) -> Result<()> {
        if case.link.is_direct() || results.links.iter().any(|known| known.link == case.link) {
            return Ok(());
        }
        let verified: Verification = verify(case.link)
            .await
            .map_err(Error::system("the relay could not be verified"))?;
        if verified.is_off() {
            results.warnings.push(format!(
                "The relay for {} is off: a round trip took {:.0} us in the median, {:.0} us more than the {} us that were asked for and the {:.0} us of loopback itself.",
                case.link,
                verified.median_rtt_us,
                verified.excess_us(),
                case.link.rtt_us,
                verified.bare_rtt_us
            ));
        }
        results.links.push(verified);
        Ok(())
    }

    /// The target as reached through the case's link.
    pub(super) async fn through_link(
        &self,
        index: usize,
        case: &Case,
    ) -> Result<(Resolved, Option<Relay>)> {
        let mut resolved = self.targets[index].clone();
        if case.link.is_direct() {
            return Ok((resolved, None));
        }
        let relay = Relay::start(resolved.endpoint.address, case.link)
            .await
            .map_err(Error::system("the relay could not listen"))?;
        resolved = resolved.via(relay.address(), case.link.rtt());
        Ok((resolved, Some(relay)))
    }
}
