//! From a request to its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::error::{CniError, code, of_kernel};
use super::request::{Checked, Command, Place, parse};
use super::result::{AddResult, forgotten};
use crate::pods::{AddPod, Pods};

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The result, an empty object where the specification wants none, or an error object.
    pub bytes: Vec<u8>,
    /// The code, if it is an error.
    pub code: Option<u32>,
}

/// Answers a request. Blocks for some milliseconds.
pub fn answer(pods: &Pods, request: &[u8]) -> Answered {
    let answered = parse(request).and_then(|checked| {
        let version = checked.version;
        carry_out(pods, checked).map_err(|error| error.in_version(version))
    });
    match answered {
        Ok(bytes) => Answered { bytes, code: None },
        Err(error) => {
            tracing::warn!(code = error.code, details = %error.details, "{}", error.msg);
            Answered {
                bytes: encode(&error),
                code: Some(error.code),
            }
        }
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Of plain structs with text keys: cannot fail. An empty answer would still be an error there.
    serde_json::to_vec(value).unwrap_or_default()
}

/// What commands without a result are answered with.
fn nothing() -> Vec<u8> {
    b"{}".to_vec()
}

fn carry_out(pods: &Pods, request: Checked) -> Result<Vec<u8>, CniError> {
    match request.command {
        Command::Add {
            network,
            place,
            netns,
            args,
        } => add(pods, network, place, netns, &args, request.version),
        Command::Check { place, netns, previous } => check(pods, &place, &netns, &previous),
        Command::Del { place } => {
            pods.remove(&place.container, &place.ifname)
                .map_err(|error| of_kernel(&error))?;
            Ok(nothing())
        }
        Command::Gc { network, keep } => gc(pods, &network, keep.into_iter().collect()),
        Command::Status => status(pods),
    }
}

fn add(
    pods: &Pods,
    network: String,
    place: Place,
    netns: PathBuf,
    args: &BTreeMap<String, String>,
    version: &'static str,
) -> Result<Vec<u8>, CniError> {
    let arg = |key: &str| args.get(key).cloned().unwrap_or_default();
    let pod = AddPod {
        network,
        container: place.container,
        ifname: place.ifname,
        netns,
        pod_namespace: arg("K8S_POD_NAMESPACE"),
        pod_name: arg("K8S_POD_NAME"),
        pod_uid: arg("K8S_POD_UID"),
    };
    let wired = pods.add(&pod)?;
    Ok(encode(&AddResult::of(&wired, version)))
}

fn check(pods: &Pods, place: &Place, netns: &Path, previous: &Value) -> Result<Vec<u8>, CniError> {
    let (wired, mut differences) = pods.check(&place.container, &place.ifname, netns)?;
    differences.extend(forgotten(previous, &wired));
    if differences.is_empty() {
        return Ok(nothing());
    }
    Err(CniError::new(
        code::NOT_AS_MADE,
        format!("the pod's network is not as it was made: {}", differences.join("; ")),
        "Somebody else changed it. The same ADD again mends it; or the runtime makes the sandbox anew.",
    ))
}

fn gc(pods: &Pods, network: &str, keep: BTreeSet<(String, String)>) -> Result<Vec<u8>, CniError> {
    // All are tried; the first failure is told.
    match pods.retain(network, &keep).into_iter().find_map(Result::err) {
        None => Ok(nothing()),
        Some(error) => Err(of_kernel(&error)),
    }
}

fn status(pods: &Pods) -> Result<Vec<u8>, CniError> {
    let usage = pods.usage();
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
    ))
}
