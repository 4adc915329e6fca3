//! Being asked to end: SIGINT, SIGTERM and SIGHUP as something to look at, not as an interruption.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The signals that ask for an end, held back from their default action and readable here.
#[derive(Debug)]
pub struct EndSignals(OwnedFd);

impl EndSignals {
    /// Holds the signals back for this thread and those it makes later: call it before there are others. Programs it
    /// starts inherit that; see [`release`].
    #[expect(unsafe_code, reason = "rustix has no signal masks and no signalfd")]
    pub fn hold() -> io::Result<Self> {
        // SAFETY: `set` is initialised by sigemptyset before use and all pointers are to this frame.
        let fd = unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::sigaddset(&raw mut set, signal);
            }
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just given us this descriptor and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Whether somebody asked since the last look. Takes one such request.
    #[expect(unsafe_code, reason = "what is read is a C struct")]
    pub fn asked(&self) -> bool {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: the buffer is as long as we say.
        let read = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) };
        read > 0
    }
}

/// Holds nothing back any more in the calling thread: for a forked child before it becomes another program.
/// Async-signal-safe.
#[expect(unsafe_code, reason = "rustix has no signal masks")]
pub fn release() -> io::Result<()> {
    // SAFETY: `set` is initialised by sigemptyset before use, and the pointer is to this frame.
    let error = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut())
    };
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

impl AsFd for EndSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
