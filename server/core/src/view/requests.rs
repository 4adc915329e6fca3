//! Shadowport requests and their threads.

use std::sync::Arc;

use portolan_shared::ids::{ProjectId, ShadowRequestId};

use super::View;
use crate::model::{Micros, RequestMessage, ShadowRequest, grant_among};

impl View {
    /// A shadowport request.
    pub fn request(&self, id: ShadowRequestId) -> Option<&Arc<ShadowRequest>> {
        self.get::<ShadowRequest>(id)
    }

    /// All shadowport requests, in id order (which is that of creation).
    pub fn requests(&self) -> impl Iterator<Item = &Arc<ShadowRequest>> {
        self.all::<ShadowRequest>()
    }

    /// Shadowport requests of a project, the oldest first.
    pub fn requests_of(&self, project: ProjectId) -> impl DoubleEndedIterator<Item = &Arc<ShadowRequest>> {
        self.of::<ShadowRequest>(project)
    }

    /// Messages of a request's thread, internal notes too, in id order.
    pub fn messages_of(&self, request: ShadowRequestId) -> impl Iterator<Item = &Arc<RequestMessage>> {
        self.of::<RequestMessage>(request)
    }

    /// Whether a project may make networks with a shadow port at `now`.
    pub fn grant_holds(&self, project: ProjectId, now: Micros) -> bool {
        grant_among(self.requests_of(project).map(Arc::as_ref), now)
    }
}
