//! The error object of the specification, and every way a request can fail.

use serde::Serialize;

use crate::kernel::{AttachError, KernelError, NamespaceError};
use crate::pods::{AddError, CheckError};

/// Codes of the specification (section "Error"), and ours from 100.
pub mod code {
    /// The configuration is of a version that is not spoken.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field of the configuration asks for what is not done.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is not known.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// A variable of the environment is missing or wrong.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// Something could not be read or written.
    pub const IO_FAILURE: u32 = 5;
    /// The request is no JSON document of the right shape.
    pub const NOT_DECODED: u32 = 6;
    /// The configuration is wrong.
    pub const INVALID_CONFIG: u32 = 7;
    /// Nothing is wrong but the moment.
    pub const TRY_AGAIN_LATER: u32 = 11;
    /// The plugin cannot serve an ADD now (STATUS).
    pub const NOT_AVAILABLE: u32 = 50;
    /// The kernel refused a step.
    pub const KERNEL: u32 = 100;
    /// A pod's network is not as it was made (CHECK).
    pub const NOT_AS_MADE: u32 = 101;
}

/// What the runtime is told: `msg` says what, `details` why and what now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CniError {
    /// Of the configuration, as far as it was understood.
    #[serde(rename = "cniVersion")]
    pub cni_version: String,
    /// See [`code`].
    pub code: u32,
    /// What happened, short.
    pub msg: String,
    /// Why, and what to do.
    pub details: String,
}

impl CniError {
    /// An error; its version is that of the newest specification until the request's is known.
    pub fn new(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Self {
        let [.., newest] = super::VERSIONS;
        Self {
            cni_version: newest.to_owned(),
            code,
            msg: msg.into(),
            details: details.into(),
        }
    }

    /// In the version of the request.
    pub fn in_version(self, version: &str) -> Self {
        Self {
            cni_version: version.to_owned(),
            ..self
        }
    }
}

/// Why the wiring of a pod failed, for all commands.
fn of_attach(error: &AttachError) -> CniError {
    match error {
        AttachError::Namespace(NamespaceError::Unusable { .. }) => CniError::new(
            code::KERNEL,
            chain(error),
            "Entering a pod's network namespace needs CAP_SYS_ADMIN: look how the agent was started.",
        ),
        AttachError::Namespace(NamespaceError::Gone { .. } | NamespaceError::NotANamespace { .. }) => CniError::new(
            code::INVALID_ENVIRONMENT,
            error.to_string(),
            "CNI_NETNS must be the path of a network namespace that exists. The sandbox was probably removed meanwhile; \
             the runtime makes a new one.",
        ),
        AttachError::Namespace(NamespaceError::IsHost { .. }) => CniError::new(
            code::INVALID_ENVIRONMENT,
            error.to_string(),
            "CNI_NETNS must be the path of the pod's own network namespace.",
        ),
        AttachError::InterfaceExists { .. } => CniError::new(
            code::INVALID_ENVIRONMENT,
            error.to_string(),
            "CNI_IFNAME must be a name that is free in the pod: another plugin made this interface, or an earlier DEL \
             did not reach the agent.",
        ),
        AttachError::Kernel(error) => of_kernel(error),
    }
}

/// The kernel's reason as an answer.
pub(super) fn of_kernel(error: &KernelError) -> CniError {
    CniError::new(
        code::KERNEL,
        error.chain(),
        "Nothing half-made was kept. The agent's log has the step; the runtime tries again by itself.",
    )
}

impl From<AddError> for CniError {
    fn from(error: AddError) -> Self {
        let later = |details: &str| Self::new(code::TRY_AGAIN_LATER, error.to_string(), details);
        match &error {
            AddError::NotReady => later(
                "The agent has not joined a cluster, or has not heard from the control plane since it has. It answers \
                 as soon as it has: see its log for the connection.",
            ),
            AddError::NoBlock(_) => later(
                "The agent has asked the control plane for a block of the cluster's pod range. If this stays, the pod \
                 range is used up or the control plane is not reached: see the node in the console.",
            ),
            AddError::Exhausted(..) => later(
                "The agent has asked the control plane for another block. If this stays, the cluster's pod range is \
                 used up: see its subnet in the console.",
            ),
            AddError::Log(cause) => Self::new(
                code::IO_FAILURE,
                format!("{error}: {cause}"),
                "Without it on disk the address could be given twice after a power cut, so the pod was not started. \
                 Look for space and errors on the disk of the agent's state directory.",
            ),
            AddError::Attach(error) => of_attach(error),
        }
    }
}

impl From<CheckError> for CniError {
    fn from(error: CheckError) -> Self {
        match &error {
            CheckError::Unknown { .. } => Self::new(
                code::UNKNOWN_CONTAINER,
                error.to_string(),
                "Its ADD was never answered, or its DEL was: the sandbox has to be made anew.",
            ),
            CheckError::Attach(error) => of_attach(error),
        }
    }
}

/// A sentence with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
