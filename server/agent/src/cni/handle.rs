//! From a request to its answer.

use std::collections::BTreeSet;
use std::path::Path;

use portolan_cni_protocol::{CniError, argument, code};
use portolan_shared::ids::PortId;
use serde::Serialize;
use serde_json::Value;

use super::error::RequestError;
use super::request::{Checked, Command, SandboxInterface, parse};
use super::result::{forgotten, of_add, passed_on};
use crate::pods::{AddError, AddPod, Pods};

/// A request that was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// The version of the specification that the request is answered in.
    version: String,
    /// Why it was not carried out.
    #[source]
    error: RequestError,
}

impl Failed {
    /// See [`RequestError::waits_for_block`].
    pub fn waits_for_block(&self) -> bool {
        self.error.waits_for_block()
    }

    /// What the runtime is told.
    pub fn into_cni(self) -> CniError {
        CniError::from(self.error).in_version(&self.version)
    }
}

/// What a request is answered with.
#[derive(Debug)]
pub struct Answer {
    /// The result, an empty object where the specification wants none.
    pub bytes: Vec<u8>,
    /// What a pod was given for it that nobody knows of yet: see [`Pods::not_taken`].
    pub given: Option<PortId>,
}

/// Carries a request out. Blocks for some milliseconds.
///
/// # Errors
/// If the request is wrong or cannot be carried out.
pub fn answer(pods: &Pods, request: &[u8]) -> Result<Answer, Failed> {
    let checked = parse(request).map_err(|error| Failed {
        version: error.cni_version.clone(),
        error: error.into(),
    })?;
    let version = checked.version;
    carry_out(pods, checked).map_err(|error| Failed {
        version: version.to_string(),
        error,
    })
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // Of plain structs with text keys: cannot fail. An empty answer would still be an error there.
    serde_json::to_vec(value).unwrap_or_default()
}

/// What commands without a result are answered with.
fn nothing() -> Answer {
    Answer {
        bytes: b"{}".to_vec(),
        given: None,
    }
}

fn carry_out(pods: &Pods, request: Checked) -> Result<Answer, RequestError> {
    match request.command {
        Command::Add {
            network,
            interface,
            netns,
            args,
            dns,
            host_ports,
            previous,
        } => {
            let arg = |key: &str| args.get(key).cloned().unwrap_or_default();
            let pod = AddPod {
                network,
                container: interface.container,
                ifname: interface.ifname,
                netns,
                pod_namespace: arg(argument::POD_NAMESPACE),
                pod_name: arg(argument::POD_NAME),
                pod_uid: arg(argument::POD_UID),
                host_ports,
            };
            let wired = pods.add(&pod)?;
            let own = of_add(&wired, request.version, dns);
            Ok(Answer {
                bytes: encode(&passed_on(previous, &own)),
                given: wired.new.then_some(wired.allocation.id),
            })
        }
        Command::Check {
            interface,
            netns,
            previous,
        } => check(pods, &interface, &netns, &previous),
        Command::Del { interface, netns } => {
            let removed = pods.remove(&interface.container, &interface.ifname)?;
            if let (None, Some(netns)) = (removed, netns) {
                pods.remove_held(&netns, &interface.ifname)?;
            }
            Ok(nothing())
        }
        Command::Gc { network, keep } => gc(pods, &network, keep.into_iter().collect()),
        Command::Status => status(pods),
    }
}

fn check(pods: &Pods, interface: &SandboxInterface, netns: &Path, previous: &Value) -> Result<Answer, RequestError> {
    let (wired, mut differences) = pods.check(&interface.container, &interface.ifname, netns)?;
    differences.extend(forgotten(previous, &wired));
    if differences.is_empty() {
        return Ok(nothing());
    }
    Err(CniError::new(
        code::NOT_AS_MADE,
        format!("the pod's network is not as it was made: {}", differences.join("; ")),
        "Somebody else changed it. The same ADD again mends it; or the runtime makes the sandbox anew.",
    )
    .into())
}

fn gc(pods: &Pods, network: &str, keep: BTreeSet<(String, String)>) -> Result<Answer, RequestError> {
    // All are tried; the first failure is told.
    match pods.retain(network, &keep).into_iter().find_map(Result::err) {
        None => Ok(nothing()),
        Some(error) => Err(error.into()),
    }
}

fn status(pods: &Pods) -> Result<Answer, RequestError> {
    let usage = pods.usage();
    if usage.removed {
        return Err(RequestError::Add(AddError::Removed));
    }
    if let Some(sentence) = pods.unwritable() {
        return Err(CniError::new(
            code::NOT_AVAILABLE,
            sentence,
            "Without it on disk an address could be given twice after a power cut. Pods that run are not concerned.",
        )
        .into());
    }
    if usage.free() > 0 {
        return Ok(nothing());
    }
    let msg = match usage.blocks {
        0 => "this node has no block of pod addresses yet",
        _ => "all pod addresses of this node's blocks are given",
    };
    Err(CniError::new(
        code::NOT_AVAILABLE,
        msg,
        "The agent asks the control plane for a block by itself; see the node in the console if this stays.",
    )
    .into())
}
