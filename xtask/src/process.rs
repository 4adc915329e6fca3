//! Running other programs: what is run is printed first, what they say is seen as they say it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a program did not do its part.
#[derive(Debug)]
pub enum Failed {
    /// It could not be started.
    Start(String, io::Error),
    /// It ended with a failure; it has said why.
    Ended(String, Option<i32>),
    /// Something else, in words.
    Other(String),
    /// It has been said already, and nothing may be said after it.
    Said,
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(what, error) => write!(out, "cannot run `{what}`: {error}"),
            Self::Ended(what, Some(code)) => write!(out, "`{what}` ended with code {code}"),
            Self::Ended(what, None) => write!(out, "`{what}` was killed"),
            Self::Other(what) => out.write_str(what),
            Self::Said => Ok(()),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Says how far something is that takes minutes.
pub struct Steps {
    of: usize,
    done: usize,
}

impl Steps {
    /// So many there will be.
    pub fn of(of: usize) -> Self {
        Self { of, done: 0 }
    }

    /// Says which comes now.
    pub fn next(&mut self, what: &str) {
        self.done += 1;
        eprintln!("\n==> {} of {}: {what}", self.done, self.of);
    }
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| ".".into(), Path::to_path_buf)
}

/// Where cargo builds for this machine.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Whether this runs where nobody watches and nothing may be left out.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// A program, to be run in the checkout.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Cargo, without what the cargo that runs this has set for this crate alone: left in, build scripts that look at such
/// variables would run again.
pub fn cargo() -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO" {
            command.env_remove(&name);
        }
    }
    command
}

/// How a person would type the command.
pub fn typed(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs it to its end, saying so first.
pub fn run(command: &mut Command) -> Result<(), Failed> {
    let what = typed(command);
    eprintln!("==> {what}");
    let status = command.status().map_err(|error| Failed::Start(what.clone(), error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failed::Ended(what, status.code()))
    }
}

/// Whether it can be run and succeeds, in silence.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Which of the program's outputs is read line by line; the other one is seen as it is.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs it, handing over each line of one output. Says whether it succeeded.
pub fn read(command: &mut Command, stream: Stream, mut line: impl FnMut(&str)) -> Result<bool, Failed> {
    let what = typed(command);
    eprintln!("==> {what}");
    match stream {
        Stream::Out => command.stdout(Stdio::piped()),
        Stream::Err => command.stderr(Stdio::piped()),
    };
    let start = |error| Failed::Start(what.clone(), error);
    let mut child = command.spawn().map_err(start)?;
    let pipe: Option<Box<dyn Read>> = match stream {
        Stream::Out => child.stdout.take().map(|pipe| Box::new(pipe) as _),
        Stream::Err => child.stderr.take().map(|pipe| Box::new(pipe) as _),
    };
    if let Some(pipe) = pipe {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).map_err(start)? > 0 {
            line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']));
            bytes.clear();
        }
    }
    child.wait().map(|status| status.success()).map_err(start)
}
