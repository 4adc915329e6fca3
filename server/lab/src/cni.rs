//! Calling `portolan-cni` as a container runtime does: verb and place in the environment, configuration on stdin.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use portolan_cni_protocol::{AddResult, NetworkConfig, Verb, Version, argument, variable};

use crate::children::tie;
use crate::netns::Namespace;
use crate::wait::until;

/// What a runtime waits for a plugin before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// The version of the CNI specification spoken: the newest that containerd 1.6 can convert.
const VERSION: Version = Version::V1_0_0;

/// One sandbox, as the runtime knows it.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The runtime's id of it.
    pub container_id: String,
    /// Its network namespace.
    pub namespace: Namespace,
    /// The pod's name (in the Kubernetes namespace `default`).
    pub pod: String,
}

/// Why the plugin did not do it.
#[derive(Debug, thiserror::Error)]
pub enum CniError {
    /// It could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The plugin.
        program: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It did not end.
    #[error("CNI {verb} of pod {pod} did not end within {} s", PATIENCE.as_secs())]
    Late {
        /// ADD or DEL.
        verb: &'static str,
        /// Name of the pod.
        pod: String,
    },
    /// It refused.
    #[error("CNI {verb} of pod {pod} failed: {said}")]
    Refused {
        /// ADD or DEL.
        verb: &'static str,
        /// Name of the pod.
        pod: String,
        /// The error it printed, in CNI's form.
        said: String,
    },
}

/// A host's plugin: the program, where it is executed, and the agent it talks to.
#[derive(Debug)]
pub struct Plugin<'a> {
    /// The program.
    pub program: &'a Path,
    /// The host's namespace.
    pub host: &'a Namespace,
    /// The agent's socket.
    pub socket: &'a Path,
}

impl Plugin<'_> {
    /// ADD: the pod's first address.
    pub fn add(&self, sandbox: &Sandbox) -> Result<IpAddr, CniError> {
        let said = self.call(Verb::Add, sandbox)?;
        first_address(&said).ok_or(CniError::Refused {
            verb: Verb::Add.as_str(),
            pod: sandbox.pod.clone(),
            said,
        })
    }

    /// DEL.
    pub fn del(&self, sandbox: &Sandbox) -> Result<(), CniError> {
        self.call(Verb::Del, sandbox).map(drop)
    }

    fn call(&self, verb: Verb, sandbox: &Sandbox) -> Result<String, CniError> {
        let (status, said) = self.execute(verb, sandbox).map_err(|source| CniError::Run {
            program: self.program.to_owned(),
            source,
        })?;
        let verb = verb.as_str();
        let pod = sandbox.pod.clone();
        match status {
            None => Err(CniError::Late { verb, pod }),
            Some(true) => Ok(said),
            Some(false) => Err(CniError::Refused {
                verb,
                pod,
                said: said.trim().to_owned(),
            }),
        }
    }

    /// Whether it succeeded (nothing: it did not end) and what it printed.
    fn execute(&self, verb: Verb, sandbox: &Sandbox) -> io::Result<(Option<bool>, String)> {
        let Sandbox {
            container_id,
            namespace,
            pod,
        } = sandbox;
        let config = serde_json::to_vec(&NetworkConfig {
            cni_version: Some(VERSION.to_string()),
            name: Some("portolan".to_owned()),
            plugin: Some("portolan-cni".to_owned()),
            socket: Some(self.socket.display().to_string()),
        })?;
        let args = [
            (argument::IGNORE_UNKNOWN, "1"),
            (argument::POD_NAMESPACE, "default"),
            (argument::POD_NAME, pod),
            (argument::CONTAINER_ID, container_id),
        ];
        let args: Vec<String> = args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut command = Command::new(self.program);
        command
            .env(variable::COMMAND, verb.as_str())
            .env(variable::CONTAINER_ID, container_id)
            .env(variable::NETNS, namespace.path())
            .env(variable::IFNAME, "eth0")
            .env(variable::ARGS, args.join(";"))
            .env(variable::PATH, self.program.parent().unwrap_or(Path::new("/")));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        tie(&mut command, Some(self.host))?;
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A plugin that ends without reading has said why on stdout.
            let _ = stdin.write_all(&config);
        }
        let status = until(PATIENCE, || child.try_wait())?;
        if status.is_none() {
            child.kill()?;
            child.wait()?;
        }
        let mut said = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut said)?;
        }
        Ok((status.map(|status| status.success()), said))
    }
}

/// The first address of a CNI result.
fn first_address(result: &str) -> Option<IpAddr> {
    let result: AddResult = serde_json::from_str(result).ok()?;
    result.ips.first()?.ip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_result_is_the_first_ones() {
        let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.4.0.7/32","interface":1}],"dns":{}}"#;
        assert_eq!(first_address(result), Some("10.4.0.7".parse().unwrap()));
        assert_eq!(first_address(r#"{"code":11,"msg":"try again"}"#), None);
        assert_eq!(first_address(r#"{"ips":[]}"#), None);
    }
}
