//! The command by which a host joins a cluster.

use portolan_shared::v1::JoinToken;

use super::code::shell;

/// What to run as root on the host. The token is passed in the environment, since everybody on the host can see
/// arguments.
pub fn command(token: &JoinToken) -> String {
    let mut run = vec!["portolan-agent run".to_owned()];
    if let Some(node) = &token.node {
        run.push(format!("--name {}", shell(&node.name)));
        run.extend(node.addresses.iter().map(|address| format!("--address {address}")));
    }
    format!("export PORTOLAN_JOIN_TOKEN={}\n{}", shell(&token.token), run.join(" "))
}

/// The addresses that are kept for the host, with the length of their subnet.
pub fn addresses(token: &JoinToken) -> Vec<String> {
    let node = token.node.iter().flat_map(|node| &node.addresses);
    node.map(|address| match token.prefix {
        Some(prefix) => format!("{address}/{prefix}"),
        None => address.to_string(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use portolan_shared::v1::{NodeRow, NodeState};

    use super::*;

    fn token(secret: &str, node: bool) -> JoinToken {
        let id = "01930000-0000-7000-8000-000000000001";
        let node = node.then(|| NodeRow {
            id: id.parse().unwrap(),
            name: "node-4".into(),
            state: NodeState::Expected,
            reason: None,
            addresses: vec!["10.0.0.9".parse().unwrap()],
            port: id.parse().unwrap(),
            blocks: vec![],
            pods: 0,
            applied_revision: 0,
            wanted_revision: 0,
            last_contact: None,
            agent_version: String::new(),
            losses: vec![],
            probes: None,
            created_at: String::new(),
        });
        JoinToken {
            token: secret.into(),
            expires_at: String::new(),
            prefix: node.as_ref().map(|_| 24),
            node,
            mtu: 1500,
        }
    }

    /// What an agent is given when a shell runs the command: its arguments, then its token.
    fn given(command: &str) -> Vec<String> {
        let name = "portolan_agent";
        let command = command.replace("portolan-agent", name);
        let script = format!("{name}() {{ printf '%s\\0' \"$@\"; printenv PORTOLAN_JOIN_TOKEN; }}\n{command}");
        let said = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let text = String::from_utf8(said.stdout).unwrap();
        text.trim_end_matches('\n').split('\0').map(str::to_owned).collect()
    }

    #[test]
    fn the_token_goes_by_the_environment_whatever_is_in_it() {
        for secret in ["ptl1.abc-DEF_123", "$(id)", "it's", "a\nb"] {
            let given = given(&command(&token(secret, false)));
            assert_eq!(given, ["run", secret]);
        }
    }

    #[test]
    fn a_node_that_has_its_port_brings_name_and_address() {
        let token = token("secret", true);
        assert_eq!(
            given(&command(&token)),
            ["run", "--name", "node-4", "--address", "10.0.0.9", "secret"]
        );
        assert_eq!(addresses(&token), ["10.0.0.9/24"]);
    }
}
