//! Who builds a runtime, and who runs one to its end: dropping it waits for whatever hangs in the system.

use super::source::{Source, naming};

/// A command's look-up of a name, or its look at a file, must not hold up its end; `worker::run` sees to that.
/// `ending` is a runtime of signals only: it has no task that blocks a thread.
#[test]
fn only_the_worker_builds_a_runtime() {
    let elsewhere = |source: &Source| !["worker", "ending"].contains(&source.part.as_str());
    let built = ["new_current_thread", "new_multi_thread", "Runtime::new"];
    let lines = naming(&built, elsewhere);
    assert!(lines.is_empty(), "{lines:#?}");
    // A thread beside the command drops its own in the background.
    let lines = naming(&["block_on("], |source| {
        elsewhere(source) && source.path != "traces/export.rs"
    });
    assert!(lines.is_empty(), "{lines:#?}");
    let worker = |source: &Source| source.part == "worker";
    assert!(naming(&built, worker).len() == 2 && naming(&["block_on("], worker).len() == 2);
}
