//! Shadowport requests: the customer's way and support's, and what both speak in.

mod customer;
mod support;

use serde_json::{Value, json};

use super::kit::{Reply, User, id};

const PURPOSE: &str = "Clusters that must not be reached from outside";

/// A customer's request in short words.
struct Customer<'a>(User<'a>);

impl Customer<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/portolan/v1/projects/{}/shadowport{rest}", self.0.project)
    }

    async fn file(&self) -> String {
        let body = json!({ "purpose": PURPOSE, "nodes": 12 });
        id(&self.0.post(&self.path(""), body).await.is(201).json()["item"])
    }

    async fn page(&self) -> Value {
        self.0.get(&self.path("")).await.is(200).json()
    }

    async fn show(&self, request: &str) -> Value {
        let reply = self.0.get(&self.path(&format!("/{request}"))).await.is(200);
        reply.json()["item"].clone()
    }

    async fn on(&self, request: &str, what: &str, body: Value) -> Reply {
        self.0.post(&self.path(&format!("/{request}/{what}")), body).await
    }
}

/// Support's side of a request in short words.
async fn on(user: &User<'_>, request: &str, what: &str, body: Value) -> Reply {
    user.post(&format!("/portolan/v1/support/requests/{request}/{what}"), body)
        .await
}

async fn shown(user: &User<'_>, request: &str) -> Value {
    let reply = user
        .get(&format!("/portolan/v1/support/requests/{request}"))
        .await
        .is(200);
    reply.json()
}

async fn queue(user: &User<'_>, query: &str) -> Vec<String> {
    let reply = user
        .get(&format!("/portolan/v1/support/requests?{query}"))
        .await
        .is(200);
    let list = reply.json();
    let rows = list["items"].as_array().unwrap();
    rows.iter().map(|row| id(&row["request"])).collect()
}

/// A refusal's status and code.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) -> Value {
    assert_eq!(reply.status, status, "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["code"], code, "{problem}");
    problem
}
