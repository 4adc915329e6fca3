//! The plugin a container runtime executes: environment and standard input in, the agent asked over
//! its unix socket, the answer out.
//!
//! Static, stateless and quick to start; it knows nothing but the socket's protocol. Every decision
//! is the agent's. Exit 0 with the result on standard output, or 1 with an error object there, as
//! the CNI specification wants (1.0.0 and 1.1.0, sections "Execution Protocol" and "Error").

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Versions of the specification that agent and plugin speak.
const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// Where the agent listens when the configuration does not say.
const DEFAULT_SOCKET: &str = "/run/portolan/cni.sock";

/// The largest configuration and the largest answer, in bytes.
const LIMIT: u64 = 1 << 20;

/// How long the agent may take: longer than it ever does, shorter than a runtime waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Codes of the specification that the plugin itself answers with.
mod code {
    pub(crate) const INVALID_ENVIRONMENT: u32 = 4;
    pub(crate) const IO_FAILURE: u32 = 5;
    pub(crate) const NOT_DECODED: u32 = 6;
    pub(crate) const INVALID_CONFIG: u32 = 7;
    pub(crate) const TRY_AGAIN_LATER: u32 = 11;
    pub(crate) const NOT_AVAILABLE: u32 = 50;
}

/// The error object of the specification.
#[derive(Debug, Serialize)]
struct CniError {
    #[serde(rename = "cniVersion")]
    cni_version: String,
    code: u32,
    msg: String,
    details: String,
}

impl CniError {
    fn new(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Self {
        let [.., newest] = VERSIONS;
        Self {
            cni_version: newest.to_owned(),
            code,
            msg: msg.into(),
            details: details.into(),
        }
    }
}

/// What the plugin itself needs of a configuration.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(rename = "cniVersion")]
    cni_version: Option<String>,
    socket: Option<String>,
}

/// One request to the agent.
#[derive(Debug, Serialize)]
struct Request<'a> {
    command: &'a str,
    container_id: String,
    netns: String,
    ifname: String,
    args: BTreeMap<String, String>,
    config: &'a RawValue,
}

/// Whether an answer is an error object.
#[derive(Debug, Deserialize)]
struct Answer {
    code: Option<u32>,
}

fn main() -> ExitCode {
    let (output, exit) = match run() {
        Ok(output) => (output, ExitCode::SUCCESS),
        Err(Failure::Told(answer)) => (answer, ExitCode::FAILURE),
        Err(Failure::Own(error)) => (serde_json::to_vec(&error).unwrap_or_default(), ExitCode::FAILURE),
    };
    match io::stdout().write_all(&output) {
        Ok(()) => exit,
        Err(_) => ExitCode::FAILURE,
    }
}

enum Failure {
    /// The agent's error, passed on as it is.
    Told(Vec<u8>),
    /// The plugin's.
    Own(CniError),
}

impl From<CniError> for Failure {
    fn from(error: CniError) -> Self {
        Self::Own(error)
    }
}

fn variable(name: &str) -> String {
    std::env::var_os(name)
        .map(|value| value.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn run() -> Result<Vec<u8>, Failure> {
    let command = variable("CNI_COMMAND");
    if command.is_empty() {
        return Err(CniError::new(
            code::INVALID_ENVIRONMENT,
            "CNI_COMMAND is missing",
            "This program is a CNI plugin: a container runtime executes it, with CNI_COMMAND and its companions in the \
             environment and the network configuration on standard input.",
        )
        .into());
    }
    if command == "VERSION" {
        return version();
    }
    let input = read_input()?;
    let config: &RawValue = serde_json::from_slice(&input).map_err(|error| not_json(&error))?;
    let known: Config = serde_json::from_str(config.get()).map_err(|error| {
        CniError::new(
            code::INVALID_CONFIG,
            format!("the network configuration cannot be used: {error}"),
            "It is a JSON object with cniVersion, name, type, and socket where the agent does not listen on the default.",
        )
    })?;
    let socket = known.socket.as_deref().unwrap_or(DEFAULT_SOCKET);
    let request = Request {
        command: &command,
        container_id: variable("CNI_CONTAINERID"),
        netns: variable("CNI_NETNS"),
        ifname: variable("CNI_IFNAME"),
        args: arguments(&variable("CNI_ARGS")),
        config,
    };
    let answer = ask(socket, &request).map_err(|error| unreachable_agent(&command, socket, &known, &error))?;
    judge(&command, answer)
}

/// Answered without the agent: a runtime asks before anything is set up.
fn version() -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Versions {
        #[serde(rename = "cniVersion")]
        cni_version: String,
        #[serde(rename = "supportedVersions")]
        supported: [&'static str; 2],
    }
    let [.., newest] = VERSIONS;
    let asked = read_input()
        .ok()
        .and_then(|input| serde_json::from_slice::<Config>(&input).ok());
    let cni_version = asked
        .and_then(|config| config.cni_version)
        .unwrap_or_else(|| newest.to_owned());
    Ok(serde_json::to_vec(&Versions {
        cni_version,
        supported: VERSIONS,
    })
    .unwrap_or_default())
}

fn read_input() -> Result<Vec<u8>, CniError> {
    let mut input = Vec::new();
    let read = io::stdin().take(LIMIT + 1).read_to_end(&mut input);
    let details = "The runtime hands the network configuration over on standard input.";
    match read {
        Ok(_) if input.len() as u64 > LIMIT => {
            let msg = format!("the network configuration has more than {LIMIT} bytes");
            Err(CniError::new(code::INVALID_CONFIG, msg, details))
        }
        Ok(_) => Ok(input),
        Err(error) => Err(CniError::new(
            code::IO_FAILURE,
            format!("standard input could not be read: {error}"),
            details,
        )),
    }
}

fn not_json(error: &serde_json::Error) -> CniError {
    CniError::new(
        code::NOT_DECODED,
        format!("the network configuration is not JSON: {error}"),
        "See the file in the runtime's network configuration folder, usually /etc/cni/net.d.",
    )
}

/// `KEY=VALUE;KEY=VALUE`; what has no `=` says nothing.
fn arguments(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn ask(socket: &str, request: &Request<'_>) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the agent closed the connection without an answer",
        ));
    }
    Ok(answer)
}

fn unreachable_agent(command: &str, socket: &str, config: &Config, error: &io::Error) -> CniError {
    let code = if command == "STATUS" {
        code::NOT_AVAILABLE
    } else {
        code::TRY_AGAIN_LATER
    };
    let mut answer = CniError::new(
        code,
        format!("the agent did not answer on {socket}: {error}"),
        "portolan-agent must run on this node and listen on that path (--cni-socket, and socket in the network \
         configuration). Pods that run are not affected; the runtime tries again.",
    );
    if let Some(version) = config
        .cni_version
        .as_deref()
        .filter(|version| VERSIONS.contains(version))
    {
        answer.cni_version = version.to_owned();
    }
    answer
}

/// Success or failure, and what is printed.
fn judge(command: &str, answer: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match serde_json::from_slice::<Answer>(&answer) {
        Ok(Answer { code: Some(_) }) => Err(Failure::Told(answer)),
        Ok(_) if command == "ADD" => Ok(answer),
        // The other commands have no result.
        Ok(_) => Ok(Vec::new()),
        Err(error) => {
            let msg = format!("the agent's answer could not be read: {error}");
            let details = "Are agent and plugin of one release? See the agent's log.";
            Err(CniError::new(code::IO_FAILURE, msg, details).into())
        }
    }
}
