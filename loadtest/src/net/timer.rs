//! A timer finer than the runtime's millisecond wheel: one timerfd per owner (timerfd_create(2)). An interrupt at its end
//! hits whatever is under way then, and costs a virtual machine tens of microseconds; a generator that spins has none.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

static SPIN: AtomicBool = AtomicBool::new(false);

/// From now on this process looks at the clock, and at its sockets, until a timer is due, instead of being woken.
pub fn spin() {
    SPIN.store(true, Ordering::Relaxed);
}

/// Sleeps to within tens of microseconds.
#[derive(Debug)]
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    #[expect(
        deprecated,
        reason = "what it warns of, a descriptor that changes under it, an OwnedFd cannot do; its successor is unsafe"
    )]
    pub fn new() -> io::Result<Self> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        Ok(Self {
            fd: AsyncFd::new(fd)?,
        })
    }

    /// Returns at once if the moment is past.
    pub async fn sleep_until(&mut self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        if SPIN.load(Ordering::Relaxed) {
            while Instant::now() < moment {
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        self.arm(wait)?;
        loop {
            let mut ready = self.fd.readable().await?;
            let mut ticks = [0; 8];
            match ready.try_io(|fd| rustix::io::read(fd, &mut ticks).map_err(io::Error::from)) {
                Ok(outcome) => return outcome.map(|_| ()),
                Err(_not_yet) => {}
            }
        }
    }

    fn arm(&self, wait: Duration) -> io::Result<()> {
        let it_value = Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let it_interval = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        timerfd_settime(
            self.fd.get_ref(),
            TimerfdTimerFlags::empty(),
            &Itimerspec {
                it_interval,
                it_value,
            },
        )?;
        Ok(())
    }
}
