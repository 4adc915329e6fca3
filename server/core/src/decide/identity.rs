//! Projects, users, roles, sessions. Who may ask for it is settled before: by the API.

use std::sync::Arc;

use portolan_shared::holder::{Holder, Holders, Plain, Several};
use portolan_shared::ids::{ProjectId, UserId};
use portolan_shared::refusal::Refusal;

use super::{not_found, requests};
use crate::command::{Proof, UserChange};
use crate::draft::{Draft, mac_base};
use crate::kinds::project_goes;
use crate::model::{Assignment, Key, Object, ObjectKind, PROVIDER_PROJECT, Project, Session, User};
use crate::quotas::Counted;

/// Most sessions and records forgotten by one command, so that it holds nobody up.
const EXPIRE_AT_ONCE: usize = 1000;
/// Most sessions and tokens of a user; one more takes the oldest's place.
const SESSIONS_MAX: u64 = 4_096;

pub(super) fn create_project(draft: &mut Draft<'_>, name: &str, description: &str) -> Result<Vec<Object>, Refusal> {
    if draft.project_by_name(name).is_some() {
        return Err(Refusal::NameTaken {
            kind: "project".to_owned(),
            name: name.to_owned(),
        });
    }
    let id: ProjectId = draft.new_id().into();
    let project = Project {
        id,
        name: name.to_owned(),
        description: description.to_owned(),
        enabled: true,
        mac_cursor: mac_base(id),
    };
    Ok(vec![draft.put(project)])
}

pub(super) fn delete_project(draft: &mut Draft<'_>, id: ProjectId) -> Result<Vec<Object>, Refusal> {
    let project = draft.project(id).ok_or_else(|| not_found("Project", id))?;
    if project.name == PROVIDER_PROJECT {
        return Err(Refusal::InUse {
            kind: "Project".to_owned(),
            name: project.name.clone(),
            holders: Holder::The(Plain::Portolan).into(),
        });
    }
    let holds: Vec<Holder> = [
        (Counted::Clusters, Several::Cluster),
        (Counted::Networks, Several::Network),
        (Counted::Subnets, Several::Subnet),
        (Counted::Ports, Several::Port),
        (Counted::Pods, Several::Pod),
    ]
    .into_iter()
    .map(|(counted, kind)| Holder::Count(kind, draft.count(id, counted)))
    .filter(|holder| !matches!(holder, Holder::Count(_, 0)))
    .collect();
    if !holds.is_empty() {
        return Err(Refusal::InUse {
            kind: "Project".to_owned(),
            name: project.name.clone(),
            holders: Holders(holds),
        });
    }
    let assigned = assignments(draft, |a| a.project == id);
    for assignment in assigned {
        draft.delete(Key::Assignment(assignment));
    }
    for session in sessions(draft, |s| s.project == Some(id)) {
        draft.delete(Key::Session(session.hash));
    }
    requests::take_away(draft, id);
    project_goes(draft, id);
    draft.delete(Key::Project(id));
    Ok(vec![Object::Project(project)])
}

pub(super) fn create_user(draft: &mut Draft<'_>, user: &User) -> Result<Vec<Object>, Refusal> {
    check_user(draft, user)?;
    Ok(vec![draft.put(user.clone())])
}

pub(super) fn change_user(draft: &mut Draft<'_>, id: UserId, change: &UserChange) -> Result<Vec<Object>, Refusal> {
    let old = draft.user(id).ok_or_else(|| not_found("User", id))?;
    let mut user = User::clone(&old);
    if let Some(name) = &change.name {
        user.name.clone_from(name);
    }
    user.enabled = change.enabled.unwrap_or(old.enabled);
    user.default_project = change.default_project.unwrap_or(old.default_project);
    if let Some(password) = &change.password {
        if password
            .replaces
            .as_ref()
            .is_some_and(|seen| *seen != old.password_hash)
        {
            return Err(Refusal::AuthFailed {});
        }
        user.password_hash.clone_from(&password.hash);
    }
    check_user(draft, &user)?;
    if !user.enabled || user.password_hash != old.password_hash {
        end_sessions(draft, id);
    }
    Ok(vec![draft.put(user)])
}

fn check_user(draft: &Draft<'_>, user: &User) -> Result<(), Refusal> {
    if draft.user_by_name(&user.name).is_some_and(|holder| holder != user.id) {
        return Err(Refusal::NameTaken {
            kind: "user".to_owned(),
            name: user.name.clone(),
        });
    }
    match user.default_project {
        Some(project) if draft.project(project).is_none() => Err(not_found("Project", project)),
        _ => Ok(()),
    }
}

pub(super) fn set_language(
    draft: &mut Draft<'_>,
    id: UserId,
    language: Option<String>,
) -> Result<Vec<Object>, Refusal> {
    let user = draft.user(id).ok_or_else(|| not_found("User", id))?;
    if user.language == language {
        return Ok(vec![Object::User(user)]);
    }
    Ok(vec![draft.put(User {
        language,
        ..User::clone(&user)
    })])
}

pub(super) fn delete_user(draft: &mut Draft<'_>, id: UserId) -> Result<Vec<Object>, Refusal> {
    let user = draft.user(id).ok_or_else(|| not_found("User", id))?;
    for assignment in assignments(draft, |a| a.user == id) {
        draft.delete(Key::Assignment(assignment));
    }
    end_sessions(draft, id);
    draft.delete(Key::User(id));
    Ok(vec![Object::User(user)])
}

fn end_sessions(draft: &mut Draft<'_>, user: UserId) {
    for session in sessions(draft, |s| s.user == user) {
        draft.delete(Key::Session(session.hash));
    }
}

/// Assignments that are wanted. Reads them all: identity is small and changes seldom.
fn assignments(draft: &Draft<'_>, wanted: impl Fn(&Assignment) -> bool) -> Vec<Assignment> {
    let stored = draft.view().assignments().filter(|a| wanted(a)).map(Key::Assignment);
    let found = draft.merged(stored, ObjectKind::Assignment, |object| match object {
        Object::Assignment(a) if wanted(&a) => Some(a),
        _ => None,
    });
    found.into_iter().map(|a| *a).collect()
}

fn sessions(draft: &Draft<'_>, wanted: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
    let stored = draft
        .view()
        .sessions()
        .filter(|s| wanted(s))
        .map(|s| Key::Session(s.hash));
    draft.merged(stored, ObjectKind::Session, |object| match object {
        Object::Session(session) if wanted(&session) => Some(session),
        _ => None,
    })
}

pub(super) fn assign(draft: &mut Draft<'_>, assignment: Assignment) -> Result<Vec<Object>, Refusal> {
    draft
        .user(assignment.user)
        .ok_or_else(|| not_found("User", assignment.user))?;
    draft
        .project(assignment.project)
        .ok_or_else(|| not_found("Project", assignment.project))?;
    Ok(vec![draft.put(assignment)])
}

pub(super) fn unassign(draft: &mut Draft<'_>, assignment: Assignment) -> Vec<Object> {
    let key = Key::Assignment(assignment);
    let gone = draft.object(&key);
    if gone.is_some() {
        draft.delete(key);
    }
    gone.into_iter().collect()
}

pub(super) fn begin_session(draft: &mut Draft<'_>, session: &Session, proof: &Proof) -> Result<Vec<Object>, Refusal> {
    let user = draft
        .user(session.user)
        .filter(|user| user.enabled)
        .ok_or(Refusal::AuthFailed {})?;
    let holds = match proof {
        Proof::Password(hash) => *hash == user.password_hash,
        Proof::Session(hash) => draft.object(&Key::Session(*hash)).is_some(),
    };
    if !holds {
        return Err(Refusal::AuthFailed {});
    }
    // The oldest makes room: whoever logs in once more is let in.
    if draft.view().session_count(user.id) >= SESSIONS_MAX {
        let oldest = sessions(draft, |s| s.user == user.id);
        if let Some(oldest) = oldest.iter().min_by_key(|s| s.issued_at) {
            draft.delete(Key::Session(oldest.hash));
        }
    }
    Ok(vec![draft.put(session.clone())])
}

pub(super) fn delete_session(draft: &mut Draft<'_>, hash: [u8; 32]) -> Vec<Object> {
    let key = Key::Session(hash);
    let gone = draft.object(&key);
    if gone.is_some() {
        draft.delete(key);
    }
    gone.into_iter().collect()
}

pub(super) fn expire(draft: &mut Draft<'_>) -> Vec<Object> {
    let mut gone = Vec::new();
    for key in draft.view().expired(draft.now, EXPIRE_AT_ONCE) {
        if let Some(object) = draft.object(&key) {
            draft.delete(key);
            gone.push(object);
        }
    }
    gone
}
