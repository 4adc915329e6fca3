//! The process of the agents: the same program, which is told line by line what to do and answers with a line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Outcome;

/// The agents, as the control plane's side sees them.
pub struct Clients {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Clients {
    /// Starts this program again, as `clients FOLDER ADDRESS`.
    pub fn start(folder: &Path, address: SocketAddr) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["clients".as_ref(), folder.as_os_str()])
            .arg(address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (
            child.stdin.take().ok_or("no input")?,
            child.stdout.take().ok_or("no output")?,
        );
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    pub fn say(&mut self, line: &str) -> Outcome<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    pub fn next(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("the clients have ended; their stderr says why".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Says a line; the answer, once it comes. The thread waits; the runtime's own go on.
    pub fn ask(&mut self, line: &str) -> Outcome<String> {
        self.say(line)?;
        self.next()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
