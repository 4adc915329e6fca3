//! The customer's *Shadowport* section: where the project stands, a new request, a request.

pub mod list;
pub mod new;
pub mod one;
pub mod parts;
pub mod status;

use super::audit::kinds::{Audited, NO_PAGE};
use crate::i18n::Key;
use crate::paths;

/// What the audit must know of a request; it has a page for its project and one for support.
pub(crate) const AUDITED: Audited = Audited {
    word: "request",
    title: Key::ObjectRequest,
    page: |project, id, everywhere| {
        Some(match everywhere {
            true => paths::support_request(id),
            false => paths::shadowport_request(project, id),
        })
    },
};

/// What the audit must know of a message of a request's thread.
pub(crate) const AUDITED_MESSAGE: Audited = Audited {
    word: "message",
    title: Key::ObjectMessage,
    page: NO_PAGE,
};
