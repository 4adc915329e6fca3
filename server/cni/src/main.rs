//! The plugin a container runtime executes: environment and standard input in, the agent asked over
//! its unix socket, the answer out.
//!
//! Static, stateless and quick to start; it knows nothing but the socket's protocol
//! ([`portolan_cni_protocol`]). Every decision is the agent's. Exit 0 with the result on standard
//! output, or 1 with an error object there, as the CNI specification wants (0.3.0 to 1.1.0,
//! sections "Execution Protocol" and "Error").

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use portolan_cni_protocol::{
    CniError, DEFAULT_SOCKET, MAX_ANSWER, MAX_CONFIG, NetworkConfig, Request, Verb, Version, VersionResult, arguments,
    code, is_error, variable,
};
use serde_json::value::RawValue;

/// How long the agent may take: longer than it ever does, shorter than a runtime waits.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// The agent's error object, passed on as it is.
    Told(Vec<u8>),
    /// The plugin's own error.
    Own(CniError),
}

impl From<CniError> for Failure {
    fn from(error: CniError) -> Self {
        Self::Own(error)
    }
}

/// A variable of the environment; empty when it is not set.
#[expect(clippy::disallowed_methods, reason = "a runtime tells the plugin by its environment")]
fn env(name: &str) -> String {
    std::env::var_os(name)
        .map(|value| value.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn run() -> Result<Vec<u8>, Failure> {
    let command = env(variable::COMMAND);
    if command.is_empty() {
        return Err(CniError::new(
            code::INVALID_ENVIRONMENT,
            "CNI_COMMAND is missing",
            "This program is a CNI plugin: a container runtime executes it, with CNI_COMMAND and its companions in the \
             environment and the network configuration on standard input.",
        )
        .into());
    }
    let verb = Verb::parse(&command);
    if verb == Some(Verb::Version) {
        return Ok(versions());
    }
    let input = read_input()?;
    let config: &RawValue = serde_json::from_slice(&input).map_err(|error| not_json(&error))?;
    let known: NetworkConfig = serde_json::from_str(config.get()).map_err(|error| {
        CniError::new(
            code::INVALID_CONFIG,
            format!("the network configuration cannot be used: {error}"),
            "It is a JSON object with cniVersion, name, type, and socket where the agent does not listen on the default.",
        )
    })?;
    let socket = known.socket.as_deref().unwrap_or(DEFAULT_SOCKET);
    let request = Request {
        command,
        container_id: env(variable::CONTAINER_ID),
        netns: env(variable::NETNS),
        ifname: env(variable::IFNAME),
        args: arguments(&env(variable::ARGS)),
        config,
    };
    let answer = ask(socket, &request).map_err(|error| unreachable_agent(verb, socket, &known, &error))?;
    judge(verb, answer)
}

/// Answered without the agent: a runtime asks before anything is set up.
fn versions() -> Vec<u8> {
    let config = read_input()
        .ok()
        .and_then(|input| serde_json::from_slice::<NetworkConfig>(&input).ok());
    let cni_version = config
        .and_then(|config| config.cni_version)
        .unwrap_or_else(|| Version::NEWEST.to_string());
    let result = VersionResult {
        cni_version,
        supported: Version::ALL.map(Version::as_str),
    };
    serde_json::to_vec(&result).unwrap_or_default()
}

fn read_input() -> Result<Vec<u8>, CniError> {
    let mut input = Vec::new();
    let read = io::stdin().take(MAX_CONFIG as u64 + 1).read_to_end(&mut input);
    let details = "The runtime hands the network configuration over on standard input.";
    match read {
        Ok(_) if input.len() > MAX_CONFIG => {
            let msg = format!("the network configuration has more than {MAX_CONFIG} bytes");
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

fn ask(socket: &str, request: &Request<&RawValue>) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER as u64).read_to_end(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the agent closed the connection without an answer",
        ));
    }
    Ok(answer)
}

fn unreachable_agent(verb: Option<Verb>, socket: &str, config: &NetworkConfig, error: &io::Error) -> CniError {
    let code = match verb {
        Some(Verb::Status) => code::NOT_AVAILABLE,
        _ => code::TRY_AGAIN_LATER,
    };
    let answer = CniError::new(
        code,
        format!("the agent did not answer on {socket}: {error}"),
        "portolan-agent must run on this node and listen on that path (--cni-socket, and socket in the network \
         configuration). Pods that run are not affected; the runtime tries again.",
    );
    match config.cni_version.as_deref().and_then(Version::parse) {
        Some(version) => answer.in_version(version.as_str()),
        None => answer,
    }
}

/// Success or failure, and what is printed.
fn judge(verb: Option<Verb>, answer: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match is_error(&answer) {
        Ok(true) => Err(Failure::Told(answer)),
        Ok(false) if verb == Some(Verb::Add) => Ok(answer),
        // The other commands have no result.
        Ok(false) => Ok(Vec::new()),
        Err(error) => {
            let msg = format!("the agent's answer could not be read: {error}");
            let details = "Are agent and plugin of one release? See the agent's log.";
            Err(CniError::new(code::IO_FAILURE, msg, details).into())
        }
    }
}
