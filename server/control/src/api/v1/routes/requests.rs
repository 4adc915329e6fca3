//! Shadowport requests: what customers and support may do.

use portolan_shared::v1::{
    FileRequest, GrantRequest, List, One, PostMessage, ProjectRow, QueueRow, ShadowRequest, ShadowportPage,
    SupportRequest, Verdict,
};
use serde_json::json;

use super::one_or_all;
use crate::api::route::{get, post};
use crate::api::v1::operation::{Nothing, Operation, Tag, Who, chapter};
use crate::api::v1::{shadowport, support};

/// The customer's side.
pub(super) fn shadowport() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::SHADOWPORT,
        [
            get("/projects/{project}/shadowport", shadowport::list)
                .is(
                    "showShadowport",
                    Who::Reader,
                    "A project's requests, the newest first, and whether a grant holds",
                )
                .gives::<ShadowportPage>(),
            post("/projects/{project}/shadowport", shadowport::create)
                .is(
                    "fileRequest",
                    Who::Member,
                    "Ask support for clusters without an external IP",
                )
                .about("A project has at most one open request.")
                .takes::<FileRequest>()
                .makes::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "value.out_of_range",
                    "request.open",
                    "request.granted_already",
                ]),
            get("/projects/{project}/shadowport/{id}", shadowport::show)
                .is("showRequest", Who::Reader, "A request with its thread")
                .gives::<One<ShadowRequest>>(),
            post("/projects/{project}/shadowport/{id}/messages", shadowport::message)
                .is("postMessage", Who::Member, "Write to support; also after a decision")
                .takes::<PostMessage>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                    "request.full",
                ]),
            post("/projects/{project}/shadowport/{id}/withdraw", shadowport::withdraw)
                .is(
                    "withdrawRequest",
                    Who::Member,
                    "Take a request back that is not decided yet",
                )
                .may_take::<Nothing>()
                .gives::<One<ShadowRequest>>()
                .refuses(&["request.decided"]),
        ],
    )
}

/// Support's side.
pub(super) fn support() -> impl Iterator<Item = Operation> {
    let word = || json!({ "type": "string" });
    chapter(
        Tag::SUPPORT,
        [
            get("/support/requests", support::queue)
                .is("listRequests", Who::Support, "The queue: requests of all projects")
                .about("Open ones come oldest first, all others newest first; 500 at most, then `next`.")
                .asks(
                    "state",
                    json!({
                        "type": "string",
                        "enum": ["open", "all", "new", "in_review", "granted", "declined", "withdrawn"],
                        "default": "open",
                    }),
                    "States: all that wait for a decision, all there are, or one.",
                )
                .asks("taker", word(), "Who has taken it: `me`, `none`, or a user's name.")
                .asks("project", one_or_all(), "Of this project alone; empty: of all.")
                .asks(
                    "q",
                    word(),
                    "Part of a project's name or id, of a purpose, of who asked, or of the request's id.",
                )
                .asks(
                    "marker",
                    json!({ "type": "string" }),
                    "Where to go on: `next` of the page before.",
                )
                .gives::<List<QueueRow>>()
                .refuses(&["value.not_one_of", "value.not_an_id"]),
            get("/support/requests/{id}", support::show)
                .is(
                    "showRequestToSupport",
                    Who::Support,
                    "A request with its thread, internal notes too, and its project's things",
                )
                .gives::<SupportRequest>(),
            post("/support/requests/{id}/take", support::take)
                .is("takeRequest", Who::Support, "Take a request, also from a colleague")
                .may_take::<Nothing>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&["request.decided"]),
            post("/support/requests/{id}/messages", support::message)
                .is(
                    "postSupportMessage",
                    Who::Support,
                    "Write to the customer, or an internal note that customers never get",
                )
                .takes::<PostMessage>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                    "request.full",
                ]),
            post("/support/requests/{id}/ask", support::ask)
                .is(
                    "askCustomer",
                    Who::Support,
                    "Ask the customer; the request waits for the answer",
                )
                .about("Takes the request if nobody has. A question is no internal note.")
                .takes::<PostMessage>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "value.not_one_of",
                    "request.decided",
                    "request.full",
                ]),
            post("/support/requests/{id}/grant", support::grant)
                .is(
                    "grantRequest",
                    Who::Support,
                    "Grant it, until a moment or until it is revoked",
                )
                .about("Takes the request if nobody has. Who decides second changes nothing.")
                .may_take::<GrantRequest>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.not_a_time",
                    "value.in_the_past",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                ]),
            post("/support/requests/{id}/decline", support::decline)
                .is(
                    "declineRequest",
                    Who::Support,
                    "Decline it, with a message for the customer",
                )
                .takes::<Verdict>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                ]),
            post("/support/requests/{id}/revoke", support::revoke)
                .is("revokeGrant", Who::Support, "End a grant; what was made by it goes on")
                .takes::<Verdict>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.not_granted",
                ]),
            get("/support/projects", support::projects)
                .is(
                    "findProjects",
                    Who::Support,
                    "Projects by part of their name or id, at most 50",
                )
                .asks("q", word(), "The part; absent: all.")
                .gives::<List<ProjectRow>>(),
        ],
    )
}
