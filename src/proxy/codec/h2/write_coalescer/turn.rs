//! What a connection reads in one turn.

use super::Inner;

impl<S> Inner<S> {
    pub(super) fn begin_turn(&mut self) {
        self.corked = true;
        if let Some(refusals) = &mut self.refusals {
            refusals.heads().turn();
        }
    }

    /// Whether what is read of request heads in one turn was read: their streams look at them before more is.
    pub(super) fn has_enough(&mut self) -> bool {
        let refusals = self.refusals.as_mut();
        refusals.is_some_and(|refusals| refusals.heads().has_enough())
    }
}
