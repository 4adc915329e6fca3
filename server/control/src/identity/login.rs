//! From a password or a token to a session.

use std::sync::Arc;

use portolan_core::access::Scope;
use portolan_core::command::{Actor, Command, Proof, Request, Via};
use portolan_core::model::{Micros, Session, User};
use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;

use super::password::{Asker, Passwords};
use super::{secret, unwritten};
use crate::control::Control;

/// How long a token works.
pub const TOKEN_LIFETIME: Micros = Session::LIFETIME;
/// How long a session of the console works.
pub const SESSION_LIFETIME: Micros = Session::LIFETIME;

/// The user with this password.
///
/// # Errors
/// One and the same refusal for an unknown user, a wrong password and a disabled user, after the
/// same work; or that too many log in at once.
pub async fn by_password(
    control: &Control,
    passwords: &Passwords,
    user: Option<Arc<User>>,
    password: &str,
    asker: Asker<'_>,
) -> Result<Arc<User>, Refusal> {
    let known = user.as_ref().map(|user| user.password_hash.as_str());
    let right = passwords.verify(password, known, asker).await?;
    // Read again: the user may have changed while its password was being checked.
    let user = user.and_then(|user| {
        control
            .read(|view| view.user(user.id).cloned())
            .filter(|now| **now == *user)
    });
    user.filter(|user| right && user.enabled).ok_or(Refusal::AuthFailed {})
}

/// A new session or token; its secret is in the answer and nowhere else.
pub struct Begun {
    /// To be sent with every call.
    pub secret: String,
    /// What is stored.
    pub session: Session,
}

/// What kind of session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The console's, with a CSRF secret, for every project of the user's.
    Console,
    /// A token scoped to a project, or to none; it ends no later than `until`, if given.
    Token {
        /// Scope.
        project: Option<ProjectId>,
        /// When the token ends that it was made from.
        until: Option<Micros>,
    },
}

/// Begins a session or token of a user, by what `proof` says. One by a password begins also where the disk of the store is
/// full: then it lives in memory, for an hour.
///
/// # Errors
/// If the store does not take it.
pub async fn begin(control: &Control, user: &User, kind: Kind, proof: Proof) -> Result<Begun, Refusal> {
    let draw = || {
        let mut random = [0; 32];
        control.random(&mut random);
        secret::text(random)
    };
    let (text, now) = (draw(), control.now());
    let (project, csrf, expires_at) = match kind {
        Kind::Console => (None, Some(draw()), now + SESSION_LIFETIME),
        Kind::Token { project, until } => {
            let end = now + TOKEN_LIFETIME;
            (project, None, until.map_or(end, |until| until.min(end)))
        }
    };
    let mut session = Session {
        hash: secret::hash(&text),
        user: user.id,
        project,
        csrf,
        issued_at: now,
        expires_at,
    };
    let command = Command::BeginSession(session.clone(), proof.clone());
    match (control.write(request(Actor::User(user.id), command)).await, proof) {
        (Ok(_), _) => {}
        (Err(Refusal::StoreFull {}), Proof::Password(hash)) => {
            session.expires_at = session.expires_at.min(now + unwritten::LIFETIME);
            tracing::warn!(
                user = user.name,
                "the disk is full: a session begins in memory, for an hour"
            );
            control.unwritten().keep(session.clone(), hash, now);
        }
        (Err(refusal), _) => return Err(refusal),
    }
    Ok(Begun { secret: text, session })
}

/// A request about accounts and sessions, which the control plane makes on behalf of `actor`.
pub fn request(actor: Actor, command: Command) -> Request {
    Request::new(actor, Via::SYSTEM, Scope::IDENTITY, command)
}
