//! The error object of the specification (section "Error").

use serde::{Deserialize, Serialize};

use crate::Version;

/// Codes of the specification, and Portolan's own from 100.
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
    /// The request, or the configuration, is no JSON document of the right shape.
    pub const NOT_DECODED: u32 = 6;
    /// The configuration is wrong.
    pub const INVALID_CONFIG: u32 = 7;
    /// The same call may succeed later, with nothing changed by the runtime.
    pub const TRY_AGAIN_LATER: u32 = 11;
    /// The plugin cannot serve an ADD now (STATUS).
    pub const NOT_AVAILABLE: u32 = 50;
    /// The kernel refused a step.
    pub const KERNEL: u32 = 100;
    /// A pod's network is not as it was made (CHECK).
    pub const NOT_AS_MADE: u32 = 101;
    /// A host port that a pod asks for is somebody else's.
    pub const PORT_TAKEN: u32 = 102;
}

/// What the runtime is told: `msg` says what happened, `details` why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CniError {
    /// The version of the request, as far as it was understood.
    #[serde(rename = "cniVersion")]
    pub cni_version: String,
    /// One of [`code`].
    pub code: u32,
    /// What happened, in one sentence.
    pub msg: String,
    /// Why it happened, and what to do.
    pub details: String,
}

impl CniError {
    /// An error in the newest version, until the request's is known.
    pub fn new(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Self {
        Self {
            cni_version: Version::NEWEST.to_string(),
            code,
            msg: msg.into(),
            details: details.into(),
        }
    }

    /// The same error in the version of the request.
    pub fn in_version(self, version: &str) -> Self {
        Self {
            cni_version: version.to_owned(),
            ..self
        }
    }
}

/// Whether an answer of the agent is an error object.
///
/// # Errors
/// If the answer is no JSON object.
pub fn is_error(answer: &[u8]) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Probe {
        code: Option<u32>,
    }
    serde_json::from_slice::<Probe>(answer).map(|probe| probe.code.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_from_results() {
        let error = CniError::new(code::TRY_AGAIN_LATER, "no block yet", "wait").in_version("1.0.0");
        let bytes = serde_json::to_vec(&error).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            r#"{"cniVersion":"1.0.0","code":11,"msg":"no block yet","details":"wait"}"#
        );
        assert!(is_error(&bytes).unwrap());
        assert!(!is_error(b"{}\n").unwrap());
        assert!(!is_error(br#"{"cniVersion":"1.0.0","ips":[]}"#).unwrap());
        assert!(is_error(b"hello").is_err());
    }
}
