//! Every way in which a request can fail, and the error object that the runtime is told.

use portolan_cni_protocol::{CniError, code};
use portolan_wire::error_chain;

use crate::kernel::{AttachError, KernelError, NamespaceError};
use crate::pods::{AddError, CheckError};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The request is wrong, or what it asks for is not so.
    #[error("{}", .0.msg)]
    Answered(CniError),
    /// An ADD failed.
    #[error(transparent)]
    Add(#[from] AddError),
    /// A CHECK could not be made.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The kernel refused a step of a DEL or GC.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl RequestError {
    /// Whether the same request may succeed as soon as pods are given something else, such as
    /// another block.
    pub fn waits_for_block(&self) -> bool {
        matches!(self, Self::Add(error) if error.waits_for_block())
    }
}

impl From<CniError> for RequestError {
    fn from(error: CniError) -> Self {
        Self::Answered(error)
    }
}

impl From<RequestError> for CniError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Answered(error) => error,
            RequestError::Add(error) => of_add(&error),
            RequestError::Check(error) => of_check(&error),
            RequestError::Kernel(error) => of_kernel(&error),
        }
    }
}

/// Why the wiring of a pod failed, for all commands.
fn of_attach(error: &AttachError) -> CniError {
    match error {
        AttachError::Namespace(NamespaceError::Unusable { .. }) => CniError::new(
            code::KERNEL,
            error_chain(error),
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
fn of_kernel(error: &KernelError) -> CniError {
    CniError::new(
        code::KERNEL,
        error_chain(error),
        "Nothing half-made was kept. The agent's log has the step; the runtime tries again by itself.",
    )
}

fn of_add(error: &AddError) -> CniError {
    let later = |details: &str| CniError::new(code::TRY_AGAIN_LATER, error.to_string(), details);
    match error {
        AddError::Removed => CniError::new(
            code::NOT_AVAILABLE,
            error.to_string(),
            "Its addresses may be another node's by now. A join token lets this host join again; pods that run are left \
             alone.",
        ),
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
        AddError::PortTaken { .. } => CniError::new(
            code::PORT_TAKEN,
            error.to_string(),
            "One of the two needs another host port, or another node. A pod that ends frees its own.",
        ),
        AddError::NoSuchFamily(_) => CniError::new(
            code::UNSUPPORTED_FIELD,
            error.to_string(),
            "Leave the host's address out, or give one of a version that the cluster's pod range has.",
        ),
        AddError::Log(_) => CniError::new(
            code::IO_FAILURE,
            error_chain(error),
            "Without it on disk the address could be given twice after a power cut, so the pod was not started. \
             Look for space and errors on the disk of the agent's state directory.",
        ),
        AddError::Attach(error) => of_attach(error),
    }
}

fn of_check(error: &CheckError) -> CniError {
    match error {
        CheckError::Unknown { .. } => CniError::new(
            code::UNKNOWN_CONTAINER,
            error.to_string(),
            "Its ADD was never answered, or its DEL was: the sandbox has to be made anew.",
        ),
        CheckError::Attach(error) => of_attach(error),
    }
}
