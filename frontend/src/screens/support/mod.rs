//! Support's pages: the queue of shadowport requests, a request with its project, the search.

pub mod decide;
pub mod facts;
pub mod find;
pub mod queue;
pub mod request;
