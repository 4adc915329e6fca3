//! How an error is told as a reason: in a report, in a log, on a terminal.

use std::error::Error;

/// An error and what caused it, in one line with colons between. A cause that is already part of the
/// line is not said again.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
        source = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot read the log")]
        Log(#[source] io::Error),
        #[error("cannot start: {0}")]
        Start(#[source] Box<Failure>),
    }

    #[test]
    fn causes_follow_and_are_said_once() {
        let log = || Failure::Log(io::Error::other("disk full"));
        assert_eq!(error_chain(&log()), "cannot read the log: disk full");
        assert_eq!(
            error_chain(&Failure::Start(Box::new(log()))),
            "cannot start: cannot read the log: disk full"
        );
    }
}
