//! Which container owns a port: looked up once for all ports.

use std::collections::HashMap;

use crate::inject::plan::catalog;
use crate::inject::plan::deny::{Deny, Reason};
use crate::inject::plan::pod::{self, Slot};

/// The owners of declared ports, and who owns one that nobody declares.
pub(super) struct Owners<'a> {
    /// Each container once.
    declaring: HashMap<u16, Vec<Slot<'a>>>,
    /// The only container, or the only one whose server is known.
    other: Option<Slot<'a>>,
    /// Containers that could own a port.
    count: usize,
}

impl<'a> Owners<'a> {
    /// Of the containers that may own a port.
    pub(super) fn of(all: &[Slot<'a>]) -> Self {
        let mut declaring: HashMap<u16, Vec<Slot<'_>>> = HashMap::new();
        for slot in all {
            for port in pod::tcp_ports(slot.value) {
                let owners = declaring.entry(port.number).or_default();
                if owners.last().map(Slot::place) != Some(slot.place()) {
                    owners.push(*slot);
                }
            }
        }
        let other = match all {
            [only] => Some(*only),
            several => {
                let mut known = several
                    .iter()
                    .filter(|slot| catalog::recognise(slot.value).is_some());
                let first = known.next().copied();
                first.filter(|_| known.next().is_none())
            }
        };
        Self {
            declaring,
            other,
            count: all.len(),
        }
    }

    pub(super) fn owner(&self, port: u16) -> Result<Slot<'a>, Deny> {
        match self.declaring.get(&port).map(Vec::as_slice) {
            Some([one]) => return Ok(*one),
            Some([a, b, ..]) => {
                return Err(Reason::PortConflict.deny(
                    format!(
                        "containers {:?} and {:?} both declare port {port}; one pod has one port {port}",
                        a.name(),
                        b.name()
                    ),
                ));
            }
            _ => {}
        }
        self.other.ok_or_else(|| {
            Reason::PortsRequired.deny(
                format!(
                    "no container declares port {port}, and the pod has {} that could own it; add it to the ports of the right container",
                    self.count
                ),
            )
        })
    }
}
