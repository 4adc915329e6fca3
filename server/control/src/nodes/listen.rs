//! Where agents are listened for: an address, or a socket that somebody else has opened.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{BorrowedFd, FromRawFd as _, RawFd};
use std::str::FromStr;

use rustix::net::sockopt::socket_acceptconn;

/// Connections that may wait to be accepted: after a restart all agents come back at once.
const BACKLOG: i32 = 4096;

/// Where agents are listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address.
    Address(SocketAddr),
    /// A listening TCP socket that whoever started this process has opened, by its number.
    Fd(RawFd),
}

impl Listen {
    /// Opens the listener. A handed-over socket is taken: open it once.
    pub(super) fn open(&self) -> io::Result<TcpListener> {
        let listener = match self {
            Self::Address(address) => TcpListener::bind(address)?,
            Self::Fd(fd) => inherited(*fd)?,
        };
        // Asked again, `listen` only sets the backlog.
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

#[expect(
    unsafe_code,
    reason = "a descriptor's number is all that a parent process can hand over"
)]
fn inherited(fd: RawFd) -> io::Result<TcpListener> {
    // SAFETY: only looked at here, and not kept. `borrow_raw` asks that it is open; if it is not, the
    // call fails with EBADF and nothing else happens.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if !socket_acceptconn(borrowed)? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the socket does not listen",
        ));
    }
    // SAFETY: it is open (it just answered), and the operator has named it for this and nothing else.
    Ok(unsafe { TcpListener::from_raw_fd(fd) })
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Fd(fd) => write!(f, "fd:{fd}"),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    /// `ADDRESS:PORT` or `fd:N`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_prefix("fd:") {
            return match number.parse() {
                Ok(fd) if fd > 2 => Ok(Self::Fd(fd)),
                _ => Err(format!("'{number}' is not a file descriptor above 2")),
            };
        }
        text.parse()
            .map(Self::Address)
            .map_err(|_| format!("'{text}' is neither ADDRESS:PORT nor fd:N"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd as _;

    use super::*;

    #[test]
    fn an_address_or_a_descriptor() {
        assert_eq!(
            "127.0.0.1:7443".parse(),
            Ok(Listen::Address(([127, 0, 0, 1], 7443).into()))
        );
        assert_eq!("fd:3".parse(), Ok(Listen::Fd(3)));
        for wrong in ["fd:2", "fd:x", "localhost:1", ""] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_handed_over_socket_is_listened_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let opened = Listen::Fd(listener.into_raw_fd()).open().unwrap();
        assert_eq!(opened.local_addr().unwrap(), address);
    }

    #[test]
    fn what_is_no_listening_socket_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Listen::Fd(std::os::fd::AsRawFd::as_raw_fd(&file)).open().is_err());
        assert!(Listen::Fd(9999).open().is_err());
    }
}
