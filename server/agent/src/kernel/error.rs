//! What the kernel says when it refuses, as the sentence an operator needs.

use std::io;

/// A kernel operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The kernel answered with an error number.
    #[error("the kernel refused {what}: {}", sentence(*errno, message.as_deref()))]
    Refused {
        /// What was asked, such as "the route 10.1.0.64/26".
        what: String,
        /// The kernel's error number, positive (`errno(3)`).
        errno: i32,
        /// The kernel's own words (`NLMSGERR_ATTR_MSG`), where it has any.
        message: Option<String>,
    },
    /// The conversation with the kernel itself failed.
    #[error("talking to the kernel about {what} failed")]
    Talk {
        /// What was asked.
        what: String,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The table changed while it was read, each time.
    #[error("reading {what} was torn by changes {times} times in a row; it is read again in the next round")]
    Torn {
        /// What was read.
        what: String,
        /// How many readings in a row were torn.
        times: u32,
    },
    /// A reply that does not have the shape the kernel's headers give it.
    #[error("the kernel's answer about {what} was not understood")]
    Malformed {
        /// What was asked.
        what: String,
    },
}

impl KernelError {
    /// The kernel's error number, if it is the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Talk { source, .. } => source.raw_os_error(),
            Self::Torn { .. } | Self::Malformed { .. } => None,
        }
    }

    /// Whether the object was not there: for a removal, as good as done.
    pub fn is_absent(&self) -> bool {
        matches!(
            self.errno(),
            Some(libc::ESRCH | libc::ENODEV | libc::ENOENT | libc::EADDRNOTAVAIL | libc::ENXIO)
        )
    }
}

/// The kernel's reason, its number, and what to look at where experience says so.
fn sentence(errno: i32, message: Option<&str>) -> String {
    let error = io::Error::from_raw_os_error(errno).to_string();
    let reason = match message {
        Some(message) => format!("{} ({error})", message.trim_end_matches('.')),
        None => error,
    };
    match hint(errno) {
        Some(hint) => format!("{reason}; {hint}"),
        None => reason,
    }
}

/// What usually stands behind an error number on the operations the agent makes.
fn hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM | libc::EACCES => "the agent needs CAP_NET_ADMIN in this network namespace",
        libc::EEXIST => "something that is not Portolan's has its place and was left alone",
        libc::ENETUNREACH | libc::EHOSTUNREACH => {
            "the next hop is on no link of this host: nodes that share no link need the overlay"
        }
        libc::EAFNOSUPPORT | libc::EOPNOTSUPP => "is the address family, or the kind of link, enabled in this kernel?",
        libc::ENOBUFS | libc::ENOMEM => "the kernel is short of memory",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_why_and_what_to_look_at() {
        let refused = |errno, message: Option<&str>| {
            KernelError::Refused {
                what: "the route 10.1.0.64/26".into(),
                errno,
                message: message.map(Into::into),
            }
            .to_string()
        };
        assert_eq!(
            refused(libc::EEXIST, None),
            "the kernel refused the route 10.1.0.64/26: File exists (os error 17); something that is not Portolan's \
             has its place and was left alone"
        );
        assert!(
            refused(libc::ENETUNREACH, Some("Nexthop has invalid gateway.")).contains("Nexthop has invalid gateway")
        );
        assert!(refused(libc::EPERM, None).contains("CAP_NET_ADMIN"));
    }

    #[test]
    fn what_is_not_there_needs_no_removal() {
        for errno in [libc::ESRCH, libc::ENODEV, libc::EADDRNOTAVAIL] {
            assert!(
                KernelError::Refused {
                    what: String::new(),
                    errno,
                    message: None
                }
                .is_absent()
            );
        }
        assert!(
            !KernelError::Refused {
                what: String::new(),
                errno: libc::EPERM,
                message: None
            }
            .is_absent()
        );
    }
}
