//! May a lab be made here at all? Asked before anything is made.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// The exit code of a program that could not make a lab for lack of rights or tools. (What test harnesses call
/// "skipped".)
pub const EXIT_NO_LAB: u8 = 77;

/// What is missing, as a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The kernel refuses a network namespace.
    #[error(
        "this user may not make network namespaces ({0}): a lab needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN; in a \
         container, run it with --privileged"
    )]
    Rights(String),
    /// No iproute2.
    #[error("the program `ip` is missing: install the package iproute2")]
    Ip,
    /// Namespaces can be made, but not given names.
    #[error("network namespaces cannot be given names under /run/netns: {0}")]
    Names(String),
}

/// Tries it out: `Ok` means that a lab may be made.
#[expect(unsafe_code, reason = "a thread of its own may leave the network namespace")]
pub fn check() -> Result<(), Missing> {
    let tried = thread::spawn(|| {
        // SAFETY: a new network namespace shares nothing with memory or files of this process.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
    });
    match tried.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Missing::Rights(std::io::Error::from(error).to_string())),
        Err(_) => return Err(Missing::Rights("the attempt failed".into())),
    }
    // Several may ask at once. A namespace of that name is one that a dead process of this number left.
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let turn = ASKED.fetch_add(1, Ordering::Relaxed);
    let name = format!("ptl-check-{}-{turn}", std::process::id());
    let ip = |verb: &str| {
        Command::new("ip")
            .args(["netns", verb, &name])
            .stdin(Stdio::null())
            .output()
    };
    let mut added = ip("add").map_err(|_| Missing::Ip)?;
    if !added.status.success() {
        ip("delete").map_err(|_| Missing::Ip)?;
        added = ip("add").map_err(|_| Missing::Ip)?;
    }
    if !added.status.success() {
        return Err(Missing::Names(String::from_utf8_lossy(&added.stderr).trim().to_owned()));
    }
    ip("delete").map_err(|_| Missing::Ip)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_ask_at_once_and_are_told_the_same() {
        let asked: Vec<_> = (0..8).map(|_| thread::spawn(check)).collect();
        let mut answers = asked.into_iter().map(|asked| asked.join().unwrap());
        let first = answers.next().unwrap();
        assert!(!matches!(first, Err(Missing::Names(_))), "{first:?}");
        assert!(answers.all(|answer| answer == first), "not {first:?}");
    }
}
