//! A certificate that is not valid any more is renewed by a call of its own, for the key it is for: all that it opens.

use portolan_wire::agent::{RenewReply, RenewRequest, renew_reply::Outcome};
use portolan_wire::{RENEW_PATH, error_chain};

use super::join::ask;
use super::{Identity, JoinError, tls};
use crate::machine::Sources;

/// Asks once, and takes what comes.
///
/// # Errors
/// If the control plane is not reached or refuses.
pub async fn renew(sources: &Sources, identity: &mut Identity) -> Result<(), JoinError> {
    let request = RenewRequest {
        csr: identity.request()?,
    };
    let config = tls::of_node(identity, &sources.clock);
    let reply: RenewReply = ask(sources, identity.endpoint(), RENEW_PATH, config, &request).await?;
    match reply.outcome.ok_or(JoinError::NoAnswer)? {
        Outcome::Renewed(renewed) => {
            if let Err(error) = identity.renewed(renewed.certificate, sources.clock.now()) {
                tracing::error!(error = %error_chain(&error), "cannot keep the renewed certificate; it is used all the same");
            }
            Ok(())
        }
        Outcome::Refused(refused) => Err(JoinError::Refused(refused)),
    }
}
