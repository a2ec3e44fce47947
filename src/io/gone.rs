//! Whether a peer is gone whose bytes nobody reads: they lie in front of its end, and in front of its reset.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::TcpStream;

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Whether the peer has reset the connection, or, if `ended` counts too, has ended its direction. Both directions
/// ended are no reset. The end of one whose bytes fill our receive window is not seen: it has not left its host, and
/// comes as a reset once something is sent there.
pub(super) fn is(stream: &TcpStream, ended: bool) -> bool {
    let mut gone = PollFlags::ERR;
    if ended {
        gone |= PollFlags::HUP | PollFlags::RDHUP;
    }
    let mut asked = [PollFd::new(stream, gone)];
    let answered = poll(&mut asked, Some(&AT_ONCE)).is_ok_and(|count| count > 0);
    answered && asked[0].revents().intersects(gone)
}
