//! Keeps idle cores from halting. On a virtual machine the hypervisor takes part in waking a halted core, which costs
//! more than many a thing that is measured, and not the same from one minute to the next. The kernel takes the wish
//! through a file, for as long as it is open (PM QoS, docs.kernel.org/power/pm_qos_interface.html).

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::error::{Error, Result};

const FILE: &str = "/dev/cpu_dma_latency";

/// No core halts while this lives.
#[derive(Debug)]
pub struct Awake(#[expect(dead_code, reason = "held open, not used")] File);

impl Awake {
    /// Needs the right to write the file: root, and no sandbox in between.
    pub fn keep() -> Result<Self> {
        Self::keep_through(FILE)
    }

    fn keep_through(file: &str) -> Result<Self> {
        let kept = OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut file| {
                // No microsecond of delay is acceptable: an idle core has to poll.
                file.write_all(&0_i32.to_ne_bytes())?;
                Ok(Self(file))
            });
        kept.map_err(Error::system("--keep-awake has to write /dev/cpu_dma_latency, which root may; without it cores halt as always"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_wish_is_no_delay_at_all_and_a_refusal_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latency");
        let file = path.to_str().unwrap();
        let refused = Awake::keep_through(file).unwrap_err().to_string();
        assert!(refused.contains("without it"), "{refused}");
        std::fs::write(file, "").unwrap();
        let awake = Awake::keep_through(file).unwrap();
        assert_eq!(std::fs::read(file).unwrap(), [0; 4]);
        drop(awake);
    }
}
