//! The event stream: what it tells, to whom, from where, and when it ends.

use axum::body::BodyDataStream;
use futures_util::{FutureExt, StreamExt};
use portolan_control::identity::login::TOKEN_LIFETIME;
use portolan_core::model::Role;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::kit::{PATIENCE, Server, User, id};

/// An event as a browser gets it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: u64,
    pub(super) data: Value,
}

pub(super) struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    pub(super) async fn open(user: &User<'_>, query: &str, headers: &[(&str, &str)]) -> Self {
        Self::at(user, &format!("?project={}{query}", user.project), headers).await
    }

    /// With this query, all of it.
    pub(super) async fn at(user: &User<'_>, query: &str, headers: &[(&str, &str)]) -> Self {
        let path = format!("/portolan/v1/events{query}");
        let mut all = vec![("x-auth-token", user.token.as_str())];
        all.extend(headers);
        let response = user.server.raw("GET", &path, &all, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut lines = event.lines();
                let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
                let event = Event {
                    name: field("event: "),
                    id: field("id: ").parse().unwrap(),
                    data: serde_json::from_str(&field("data: ")).unwrap(),
                };
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.body.next()).await.expect("something is said");
            self.text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }

    /// The next event that is no mark.
    pub(super) async fn news(&mut self) -> Option<Event> {
        loop {
            match self.next().await {
                Some(event) if event.name == "progress" => {}
                other => return other,
            }
        }
    }
}

fn ids(event: &Event) -> Vec<String> {
    event.data["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    let first = stream.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), first.data["revision"].as_u64()),
        ("progress", Some(server.head()))
    );
    let (network, subnet) = ann.network("10.0.0.0/24").await;
    let port = id(&ann.make("port", json!({ "network_id": network })).await);
    ann.delete(&format!("/v2.0/ports/{port}")).await.is(204);
    let events = [
        stream.news().await.unwrap(),
        stream.news().await.unwrap(),
        stream.news().await.unwrap(),
        stream.news().await.unwrap(),
    ];
    assert_eq!(events[0].data["changes"][0]["kind"], "network");
    assert_eq!(events[0].data["changes"][0]["actor"], "ann");
    let made = &events[2].data["changes"][0];
    assert_eq!(
        (&made["kind"], &made["op"], &made["id"]),
        (&json!("port"), &json!("put"), &json!(port))
    );
    assert_eq!(
        (&made["network"], &made["subnets"]),
        (&json!(network), &json!([subnet]))
    );
    assert_eq!(events[3].data["changes"][0]["op"], "delete");
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id), "{events:?}");
    assert!(events.iter().all(|event| event.data["revision"] == event.id));
}

#[tokio::test]
async fn a_stream_resumes_where_it_broke() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    let mut made = Vec::new();
    for n in 0..10 {
        made.push(id(&ann.make("network", json!({ "name": format!("n{n}") })).await));
    }
    let mut seen = Vec::new();
    let mut last = 0;
    for _ in 0..4 {
        let event = stream.news().await.unwrap();
        seen.extend(ids(&event));
        last = event.id;
    }
    drop(stream);
    // The header of a browser that comes back wins over the address it comes back to.
    let last_id = last.to_string();
    let mut stream = Stream::open(&ann, "&after=0", &[("last-event-id", &last_id)]).await;
    for _ in 0..6 {
        seen.extend(ids(&stream.news().await.unwrap()));
    }
    assert_eq!(seen, made, "each once, none lost");
    let mut stream = Stream::open(&ann, &format!("&after={last}"), &[]).await;
    assert_eq!(ids(&stream.news().await.unwrap()), [made[4].clone()]);
}

#[tokio::test]
async fn what_is_gone_is_answered_with_a_reset() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    // From another store, or one that was set back.
    let mut stream = Stream::open(&ann, "&after=999999", &[]).await;
    let event = stream.news().await.unwrap();
    assert_eq!(
        (event.name.as_str(), event.data["revision"].as_u64()),
        ("reset", Some(server.head()))
    );
    let network = id(&ann.make("network", json!({})).await);
    assert_eq!(ids(&stream.news().await.unwrap()), [network], "it goes on from there");
}

#[tokio::test]
async fn only_ones_own_project_is_told() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    let mut stream = Stream::open(&bob, "", &[]).await;
    ann.network("10.0.0.0/24").await;
    let own = id(&bob.make("network", json!({})).await);
    let event = stream.news().await.unwrap();
    assert_eq!(ids(&event), [own]);
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let second = server.token("ann", "alpha").await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    let subject = [
        ("x-auth-token", second.as_str()),
        ("x-subject-token", ann.token.as_str()),
    ];
    server.ask("DELETE", "/v3/auth/tokens", &subject, "").await.is(204);
    assert_eq!(stream.news().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_its_role() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    let user = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    let path = format!("/v3/projects/{}/users/{user}/roles/{}", ann.project, Role::Member.id());
    admin.delete(&path).await.is(204);
    // Nothing that comes after is told.
    admin
        .make("network", json!({ "project_id": ann.project, "name": "later" }))
        .await;
    assert_eq!(stream.news().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_time() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    stream.next().await.unwrap();
    admin.make("network", json!({ "project_id": ann.project })).await;
    assert!(stream.news().await.is_some());
    server.clock.pass(TOKEN_LIFETIME / 1_000_000 + 1);
    // At the latest with the next mark.
    assert_eq!(stream.news().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_the_server() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    stream.next().await.unwrap();
    server.end.send_replace(true);
    assert_eq!(stream.news().await, None);
}

#[tokio::test]
async fn nobody_waits_for_a_reader_that_does_not_read() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    let (network, _) = ann.network("10.0.0.0/16").await;
    let ports = json!({ "ports": vec![json!({ "network_id": network }); 2_000] });
    for _ in 0..3 {
        ann.post("/v2.0/ports", ports.clone()).await.is(201);
    }
    let mut told = 0;
    while told < 6_000 {
        told += stream.news().await.unwrap().data["changes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["kind"] == "port")
            .count();
    }
    assert_eq!(told, 6_000);
}

#[tokio::test]
async fn a_port_that_leaves_a_subnet_is_told_to_both() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, first) = ann.network("10.0.0.0/24").await;
    let second = json!({ "network_id": network, "cidr": "10.0.1.0/24", "ip_version": 4 });
    let second = id(&ann.make("subnet", second).await);
    let port = json!({ "network_id": network, "fixed_ips": [{ "subnet_id": first }] });
    let port = id(&ann.make("port", port).await);
    let mut stream = Stream::open(&ann, "", &[]).await;
    let moved = json!({ "port": { "fixed_ips": [{ "subnet_id": second }] } });
    ann.put(&format!("/v2.0/ports/{port}"), moved).await.is(200);
    let event = stream.news().await.unwrap();
    let change = &event.data["changes"][0];
    assert_eq!((&change["kind"], &change["id"]), (&json!("port"), &json!(port)));
    assert_eq!(
        change["subnets"],
        json!([second, first]),
        "the page of the first shows it until then"
    );
}

#[tokio::test]
async fn a_session_has_so_many_streams_and_a_closed_one_makes_room() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Stream::open(&ann, "", &[]).await);
    }
    let path = format!("/portolan/v1/events?project={}", ann.project);
    let refused = ann.ask("GET", &path, "").await.is(400).json();
    assert_eq!(
        (&refused["code"], &refused["params"]["max"]),
        (&json!("value.too_many"), &json!("16"))
    );
    drop(open.pop());
    Stream::open(&ann, "", &[]).await;
}

/// Nothing of others' wakes a stream, so it has to look itself how far it is.
#[tokio::test(start_paused = true)]
async fn a_quiet_projects_marks_keep_up_with_everybody_elses_commits() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    let mut stream = Stream::open(&ann, "", &[]).await;
    stream.next().await.unwrap();
    let mut waiting = std::pin::pin!(stream.next());
    assert_eq!(waiting.as_mut().now_or_never(), None);
    for _ in 0..3 {
        bob.make("network", json!({})).await;
    }
    let mark = waiting.await.unwrap();
    assert_eq!((mark.name.as_str(), mark.id), ("progress", server.head()));
}
