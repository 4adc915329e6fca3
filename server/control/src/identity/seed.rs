//! The first start: project and user `admin` are made.

use portolan_core::command::{Actor, Command};
use portolan_core::model::{Assignment, Project, Role, User};
use portolan_shared::refusal::Refusal;

use super::login::request;
use super::password::{Passwords, check};
use super::secret;
use crate::control::Control;

/// Name of the project and of the user that the first start makes.
pub const ADMIN: &str = "admin";

/// What the first start did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seeded {
    /// Somebody is an administrator already; nothing was done.
    Before,
    /// Made, with the password that was given.
    Given,
    /// Made, with this password: it is shown once.
    Random(String),
}

/// Makes project and user `admin`, unless somebody is an administrator: a first start that was cut
/// short is done again.
///
/// # Errors
/// If the password is too short, or the store does not take it.
pub async fn seed(control: &Control, passwords: &Passwords, password: Option<&str>) -> Result<Seeded, Refusal> {
    if control.read(|view| view.assignments().any(|a| a.role == Role::Admin)) {
        return Ok(Seeded::Before);
    }
    let (password, seeded) = match password {
        Some(given) => {
            check("PORTOLAN_ADMIN_PASSWORD", given)?;
            (given.to_owned(), Seeded::Given)
        }
        None => {
            let mut random = [0; 32];
            control.random(&mut random);
            let made = secret::text(random)[..24].to_owned();
            (made.clone(), Seeded::Random(made))
        }
    };
    let project = match control.read(|view| view.project_by_name(ADMIN).map(|p| p.id)) {
        Some(project) => project,
        None => {
            let command = Command::CreateProject {
                name: ADMIN.to_owned(),
                description: "Made at the first start.".to_owned(),
            };
            let made = control.write(request(Actor::System, command)).await?;
            let made = made.made::<Project>().ok_or_else(|| Refusal::StoreUnavailable {
                reason: "the project was not made".to_owned(),
            })?;
            made.id
        }
    };
    let before = control.read(|view| view.user_by_name(ADMIN).cloned());
    let user = User {
        id: before.as_ref().map_or_else(|| control.new_id().into(), |user| user.id),
        name: ADMIN.to_owned(),
        password_hash: passwords.hash(&password).await?,
        enabled: true,
        default_project: Some(project),
        language: before.and_then(|user| user.language.clone()),
    };
    let id = user.id;
    control.write(request(Actor::System, Command::CreateUser(user))).await?;
    let assignment = Assignment {
        user: id,
        project,
        role: Role::Admin,
    };
    control
        .write(request(Actor::System, Command::Assign(assignment)))
        .await?;
    Ok(seeded)
}
