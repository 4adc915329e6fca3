//! Where agents are listened for: an address, or a socket that somebody else has opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::str::FromStr;

use portolan_sources::{Net, PeerListener};

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
