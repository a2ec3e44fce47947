//! What a scenario expects of the server, and the groups that its client offers.

use std::sync::Arc;

use crate::net::dial::{Endpoint, Expect};
use crate::plan::{Role, Scenario};

/// The same client offers its share for a classical group first where a HelloRetryRequest is wanted; a baseline
/// that chooses the classical group anyway needs no retry, and that is the comparison.
pub(super) fn for_scenario(
    scenario: Scenario,
    endpoint: &Arc<Endpoint>,
    role: Role,
) -> (Arc<Endpoint>, Expect) {
    let mut endpoint = Arc::clone(endpoint);
    if scenario != Scenario::HelloRetryHandshake || role == Role::Baseline {
        let resumed = scenario == Scenario::ResumedHandshake;
        let expect = if resumed {
            Expect::Resumed
        } else {
            Expect::Full
        };
        return (endpoint, expect);
    }
    if let Some(tls) = &mut Arc::make_mut(&mut endpoint).tls {
        tls.groups = vec![crate::tls::Group::X25519, tls.expect];
    }
    (endpoint, Expect::HelloRetry)
}
