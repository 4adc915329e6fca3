//! How a host becomes a node, or is one again: with the join token that is given, whenever one comes that lets it in.
//!
//! Nothing that another token or time can mend ends the agent. Where tokens come in a file it is read anew before every
//! try, so a new one is used within [`TOKEN_EVERY`]. A token that the control plane refused is not shown again.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use portolan_shared::ids::JoinTokenId;
use portolan_wire::error_chain;
use portolan_wire::token::JoinToken;
use tokio::time::sleep;

use super::{Agent, RunError};
use crate::identity::{Identity, JoinError, join, renew};
use crate::stream::backoff::Backoff;
use crate::stream::parting::{self, Parted};
use crate::stream::{REMOVED, SessionContext};

/// How often a host that cannot join looks whether it can now.
const TOKEN_EVERY: Duration = Duration::from_secs(60);

/// How often a machine whose node was removed says what its pods still use. A store that was put back may not know it, and
/// leases it to others once those nodes that it knows had half a minute to show what they hold.
const KEPT_EVERY: Duration = Duration::from_secs(10);

const CANNOT_JOIN: &str = "cannot join";

/// What is known of the tries so far.
#[derive(Default)]
struct Tries {
    backoff: Backoff,
    /// Tokens that will never do.
    refused: BTreeSet<JoinTokenId>,
    /// What was said last.
    told: Option<String>,
}

/// What is known of the tries to have a certificate again.
#[derive(Default)]
pub(super) struct Renewals {
    renewals: Tries,
    joins: Tries,
}

impl Tries {
    /// Says what failed and why, and what is done about it; once in a row.
    fn tell(&mut self, failed: &str, error: &(dyn std::error::Error + 'static), now: &str) {
        let reason = error_chain(error);
        if self.told.as_ref() != Some(&reason) {
            tracing::warn!(reason, "{failed}; {now}");
            self.told = Some(reason);
        }
    }
}

impl Agent {
    /// The identity of this host; if it has none yet, it joins, however long that takes.
    ///
    /// # Errors
    /// If there is no token, or its text is none.
    pub(super) async fn identity(&self) -> Result<Identity, RunError> {
        if let Some(identity) = Identity::load(&self.machine.sources.files, &self.options.state_dir)? {
            return Ok(identity);
        }
        self.token()?;
        let mut tries = Tries::default();
        loop {
            match self.try_to_join(&mut tries).await {
                Ok(identity) => return Ok(identity),
                Err(wait) => sleep(wait).await,
            }
        }
    }

    /// An identity whose certificate is valid. One that has expired (the host or the control plane was off for long), by
    /// this host's clock or as the control plane has `refused` it, is renewed for the key it has; where that is refused a
    /// join token does it. Meanwhile the network stays as it is. It may come back as removed; or, if only the control plane
    /// had refused it, as it was: its clock may have been wrong.
    pub(super) async fn certified(&self, mut identity: Identity, mut refused: bool, tries: &mut Renewals) -> Identity {
        let sources = &self.machine.sources;
        while std::mem::take(&mut refused) || identity.has_expired(sources.clock.now()) {
            let error = match renew(sources, &mut identity).await {
                Ok(()) => {
                    tracing::info!("this node's certificate had expired and is renewed");
                    tries.renewals = Tries::default();
                    return identity;
                }
                Err(JoinError::Refused(refused)) if refused.code == REMOVED => {
                    if let Err(error) = identity.note_removed(true) {
                        tracing::error!(%error, "cannot note that this node was removed");
                    }
                    return identity;
                }
                Err(error) => error,
            };
            let again = match &error {
                JoinError::Refused(_) => TOKEN_EVERY,
                _ => tries.renewals.backoff.next(u32::MAX),
            };
            let now = "asking again, and looking for a new join token";
            tries
                .renewals
                .tell("this node's certificate has expired, and is not renewed", &error, now);
            match self.try_to_join(&mut tries.joins).await {
                Ok(joined) => return joined,
                Err(wait) => sleep(again.min(wait)).await,
            }
        }
        identity
    }

    /// While the node is removed from its cluster: says what it has let go of, and looks for a new join token. The identity
    /// if the node is one again; `None` once the host has joined as another.
    pub(super) async fn removed(&self, context: &SessionContext, mut identity: Identity) -> Option<Identity> {
        tracing::error!(
            "this node was removed from its cluster: no pod is given an address any more, and those that run are left \
             alone; a new join token lets the host join again"
        );
        let mut tries = Tries::default();
        loop {
            let parted = parting::let_go(context, &identity).await;
            if parted == Parted::Known {
                tracing::warn!("the control plane knows this node again");
                match identity.note_removed(false) {
                    Ok(()) => {
                        self.pods.set_removed(false);
                        return Some(identity);
                    }
                    Err(error) => tracing::error!(%error, "cannot note that this node is one again"),
                }
            }
            // What is kept is to be known first: another node is leased nothing of what its pods have.
            if parted != Parted::Unheard && self.try_to_join(&mut tries).await.is_ok() {
                self.pods.set_removed(false);
                return None;
            }
            sleep(KEPT_EVERY).await;
        }
    }

    /// Tries the token that is given now, if it was not refused before. How long to wait for the next try, if it does not
    /// let the host in.
    async fn try_to_join(&self, tries: &mut Tries) -> Result<Identity, Duration> {
        let token = match self.token() {
            Ok(token) if tries.refused.contains(&token.id) => return Err(TOKEN_EVERY),
            Ok(token) => token,
            Err(error) => {
                tries.tell(CANNOT_JOIN, &error, "looking for a token every minute");
                return Err(TOKEN_EVERY);
            }
        };
        let error = match self.join_once(&token).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        match &error {
            RunError::Join(refused) if refused.needs_another_token() => {
                tries.refused.insert(token.id);
                let now = match self.options.join_token_file {
                    Some(_) => "a new token is looked for every minute, in the same file",
                    None => "start the agent with a new token",
                };
                tries.tell(CANNOT_JOIN, &error, now);
            }
            RunError::Join(passing) if passing.may_pass() => {
                tries.tell(CANNOT_JOIN, &error, "trying again");
                return Err(tries.backoff.next(u32::MAX));
            }
            _ => tries.tell(CANNOT_JOIN, &error, "trying again every minute"),
        }
        Err(TOKEN_EVERY)
    }

    async fn join_once(&self, token: &JoinToken) -> Result<Identity, RunError> {
        let name = self.options.name.as_deref().unwrap_or(&self.machine.host_name);
        let (sources, state_dir) = (&self.machine.sources, &self.options.state_dir);
        let addresses = self.addresses()?;
        let identity = join(sources, state_dir, token, name, &addresses).await?;
        tracing::info!(name, endpoint = identity.endpoint(), "joined");
        Ok(identity)
    }

    fn token(&self) -> Result<JoinToken, RunError> {
        let Some(path) = &self.options.join_token_file else {
            let text = self.join_token.as_deref().ok_or(RunError::NoToken)?;
            return Ok(JoinToken::parse(text)?);
        };
        let failed = |source| RunError::State {
            path: path.clone(),
            source,
        };
        let content = self.machine.sources.files.read(path).map_err(failed)?;
        let content = content.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let text = String::from_utf8(content).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
        Ok(JoinToken::parse(&text)?)
    }

    /// The addresses that may become the node's.
    fn addresses(&self) -> Result<Vec<IpAddr>, RunError> {
        if !self.options.address.is_empty() {
            return Ok(self.options.address.clone());
        }
        let addresses = self.machine.kernel.observe()?.addresses;
        Ok(addresses.into_keys().filter(is_of_the_host).collect())
    }
}

/// Whether others may reach the host at an address.
fn is_of_the_host(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !link_local
}
