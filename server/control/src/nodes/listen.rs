//! Where the endpoint listens for agents: an address, or a socket that was opened by the parent process.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::str::FromStr;

use portolan_sources::{Net, PeerListener};

/// Where the endpoint listens for agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address.
    Address(SocketAddr),
    /// The descriptor of a listening TCP socket that the parent process has opened.
    Fd(RawFd),
}

impl Listen {
    /// Opens the listener. A descriptor is consumed: call this once.
    pub(super) fn open(&self, net: &dyn Net) -> io::Result<Box<dyn PeerListener>> {
        match self {
            Self::Address(address) => net.listen(*address),
            Self::Fd(fd) => net.listen_inherited(*fd),
        }
    }
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
}
