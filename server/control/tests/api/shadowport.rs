//! Shadowport requests: every state and every refusal, who may do what, and what customers never learn.

use portolan_control::model::Role;
use portolan_shared::v1::{MESSAGES_MAX, NODES_MAX, TEXT_MAX};
use serde_json::{Value, json};

use super::events::Stream;
use super::kit::{Reply, Server, User, id};

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

#[tokio::test]
async fn from_a_request_to_a_grant_with_a_question_between() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let (network, _) = ann.0.network("10.0.0.0/24").await;
    let body = json!({ "purpose": format!("  {PURPOSE}\r\nand more  "), "nodes": NODES_MAX, "network": network });
    let filed = ann.0.post(&ann.path(""), body).await.is(201).json();
    let request = id(&filed["item"]);
    let item = &filed["item"];
    assert_eq!(item["purpose"], format!("{PURPOSE}\nand more"));
    assert_eq!((&item["state"], &item["awaits"]), (&json!("new"), &json!("support")));
    assert_eq!(
        (&item["asked_by"], &item["network"]["name"]),
        (&json!("ann"), &json!("secret-web"))
    );
    assert_eq!(
        (&item["project"]["name"], &item["nodes"]),
        (&json!("alpha"), &json!(NODES_MAX))
    );
    assert_eq!(ann.page().await["open"], json!(request));

    on(&sue, &request, "take", json!({})).await.is(200);
    assert_eq!(ann.show(&request).await["state"], "in_review");
    let asked = on(&sue, &request, "ask", json!({ "text": "How many pods?" }))
        .await
        .is(200);
    assert_eq!(asked.json()["item"]["awaits"], "customer");
    let answered = ann
        .on(&request, "messages", json!({ "text": "Some thousand." }))
        .await
        .is(200);
    let item = answered.json()["item"].clone();
    assert_eq!(
        (&item["awaits"], &item["last_message"]),
        (&json!("support"), &json!("Some thousand."))
    );
    let thread = item["thread"].as_array().unwrap();
    assert_eq!(thread.len(), 2);
    assert_eq!(
        (&thread[0]["side"], &thread[0]["author"]),
        (&json!("support"), &Value::Null)
    );
    assert_eq!(
        (&thread[1]["side"], &thread[1]["author"]),
        (&json!("customer"), &json!("ann"))
    );

    let granted = on(&sue, &request, "grant", json!({ "message": "Have fun." }))
        .await
        .is(200);
    assert_eq!(granted.json()["item"]["decided"]["by"], "sue");
    let page = ann.page().await;
    assert_eq!((&page["granted"], &page["open"]), (&json!(true), &Value::Null));
    let item = &page["items"][0];
    assert_eq!((&item["state"], &item["awaits"]), (&json!("granted"), &Value::Null));
    assert_eq!(
        (&item["decided"]["message"], item["decided"].get("by")),
        (&json!("Have fun."), None)
    );
    assert_eq!(item["grant"], json!({ "until": null, "revoked": null, "active": true }));
    assert_eq!(item["thread"], json!([]), "lists have no threads");

    // The thread stays open; there is nothing to ask for anew.
    ann.on(&request, "messages", json!({ "text": "Thanks!" })).await.is(200);
    on(&sue, &request, "messages", json!({ "text": "Welcome." }))
        .await
        .is(200);
    assert_eq!(ann.show(&request).await["awaits"], Value::Null);
    let again = ann
        .0
        .post(&ann.path(""), json!({ "purpose": PURPOSE, "nodes": 1 }))
        .await;
    let problem = refused(&again, 409, "request.granted_already");
    assert_eq!(problem["params"]["request"], json!(request));
}

#[tokio::test]
async fn declined_and_asked_anew() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let first = ann.file().await;
    let second = ann
        .0
        .post(&ann.path(""), json!({ "purpose": PURPOSE, "nodes": 1 }))
        .await;
    assert_eq!(refused(&second, 409, "request.open")["params"]["request"], json!(first));
    refused(
        &on(&sue, &first, "decline", json!({ "message": "too short" })).await,
        400,
        "value.too_short",
    );
    on(
        &sue,
        &first,
        "decline",
        json!({ "message": "Please name the clusters." }),
    )
    .await
    .is(200);
    let item = ann.show(&first).await;
    assert_eq!((&item["state"], &item["grant"]), (&json!("declined"), &Value::Null));
    assert_eq!(item["decided"]["message"], "Please name the clusters.");
    assert_eq!(ann.page().await["granted"], false);
    let body = json!({ "purpose": PURPOSE, "nodes": 1, "quotes": first });
    let anew = id(&ann.0.post(&ann.path(""), body).await.is(201).json()["item"]);
    assert_eq!(ann.show(&anew).await["quotes"], json!(first));
    let seen = shown(&sue, &anew).await;
    assert_eq!(id(&seen["earlier"][0]), first);
    assert_eq!(
        ann.page().await["items"][0]["id"],
        json!(anew),
        "the newest comes first"
    );
}

#[tokio::test]
async fn withdrawn_is_over() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let request = ann.file().await;
    on(&sue, &request, "take", json!({})).await.is(200);
    ann.on(&request, "withdraw", json!({})).await.is(200);
    let item = ann.show(&request).await;
    assert_eq!(
        (&item["state"], &item["decided"]["by"]),
        (&json!("withdrawn"), &json!("ann"))
    );
    let problem = refused(&ann.on(&request, "withdraw", json!({})).await, 409, "request.decided");
    assert_eq!(
        (&problem["params"]["state"], &problem["params"]["by"]),
        (&json!("withdrawn"), &json!("ann"))
    );
    let text = json!({ "text": "Anybody there?" });
    refused(
        &ann.on(&request, "messages", text.clone()).await,
        409,
        "request.decided",
    );
    for (what, body) in [
        ("take", json!({})),
        ("ask", text.clone()),
        ("messages", text),
        ("grant", json!({})),
        ("decline", json!({ "message": "not this time" })),
    ] {
        refused(&on(&sue, &request, what, body).await, 409, "request.decided");
    }
    let revoke = on(&sue, &request, "revoke", json!({ "message": "not any more" })).await;
    assert_eq!(
        refused(&revoke, 409, "request.not_granted")["params"]["state"],
        "withdrawn"
    );
    ann.file().await;
}

#[tokio::test]
async fn grants_end_with_their_date_or_when_they_are_revoked() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let request = ann.file().await;
    for (until, code) in [
        ("tomorrow", "value.not_a_time"),
        ("2020-01-01T00:00:00Z", "value.in_the_past"),
    ] {
        let problem = refused(&on(&sue, &request, "grant", json!({ "until": until })).await, 400, code);
        assert_eq!(problem["field"], "until");
    }
    let until = portolan_shared::time::Time(server.control.now() + 3_600_000_000).to_string();
    on(&sue, &request, "grant", json!({ "until": until })).await.is(200);
    let item = ann.show(&request).await;
    assert_eq!(
        (&item["grant"]["until"], &item["grant"]["active"]),
        (&json!(until), &json!(true))
    );
    server.clock.pass(3_601);
    let item = ann.show(&request).await;
    assert_eq!(
        (&item["state"], &item["grant"]["active"]),
        (&json!("granted"), &json!(false))
    );
    assert_eq!(ann.page().await["granted"], false);
    let verdict = json!({ "message": "It is over now." });
    let late = on(&sue, &request, "revoke", verdict.clone()).await;
    assert_eq!(refused(&late, 409, "request.not_granted")["params"]["state"], "expired");

    // What is past does not stand in the way of the next.
    let next = ann.file().await;
    on(&sue, &next, "grant", json!({})).await.is(200);
    assert_eq!(ann.page().await["granted"], true);
    on(&sue, &next, "revoke", verdict.clone()).await.is(200);
    let item = ann.show(&next).await;
    assert_eq!(item["state"], "granted", "revoking is said by the grant");
    let revoked = &item["grant"]["revoked"];
    assert_eq!(
        (&revoked["message"], revoked.get("by")),
        (&json!("It is over now."), None)
    );
    assert_eq!(
        (&item["grant"]["active"], &ann.page().await["granted"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(shown(&sue, &next).await["request"]["grant"]["revoked"]["by"], "sue");
    let twice = on(&sue, &next, "revoke", verdict).await;
    assert_eq!(
        refused(&twice, 409, "request.not_granted")["params"]["state"],
        "revoked"
    );
}

#[tokio::test]
async fn two_decide_at_once_and_one_is_told_who_was_first() {
    let server = Server::new().await;
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let sam = server.user("sam", "helpdesk", Role::Support).await;
    for n in 0..20 {
        let ann = Customer(
            server
                .user(&format!("ann{n}"), &format!("alpha{n}"), Role::Member)
                .await,
        );
        let request = ann.file().await;
        let verdict = json!({ "message": "not this time" });
        let (granted, declined) = tokio::join!(
            on(&sue, &request, "grant", json!({})),
            on(&sam, &request, "decline", verdict),
        );
        let (first, second, by, state) = match granted.status {
            200 => (granted, declined, "sue", "granted"),
            _ => (declined, granted, "sam", "declined"),
        };
        let first = first.is(200).json();
        let problem = refused(&second, 409, "request.decided");
        assert_eq!(
            (&problem["params"]["state"], &problem["params"]["by"]),
            (&json!(state), &json!(by))
        );
        assert_eq!(problem["params"]["at"], first["item"]["decided"]["at"]);
        assert_eq!(
            shown(&sue, &request).await["request"],
            first["item"],
            "nothing was changed"
        );
        assert_eq!(ann.page().await["granted"], json!(state == "granted"));
        // A customer is not told by whom.
        let late = refused(&ann.on(&request, "withdraw", json!({})).await, 409, "request.decided");
        assert_eq!(late["params"]["by"], "support");
    }
}

#[tokio::test]
async fn taking_is_idempotent_and_takes_over() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let sam = server.user("sam", "helpdesk", Role::Support).await;
    let request = ann.file().await;
    on(&sue, &request, "take", json!({})).await.is(200);
    let head = server.head();
    on(&sue, &request, "take", json!({})).await.is(200);
    assert_eq!(server.head(), head, "nothing was written");
    let before = ann.show(&request).await;
    server.clock.pass(60);
    let taken = on(&sam, &request, "take", json!({})).await.is(200).json();
    assert_eq!(taken["item"]["taken_by"], "sam");
    assert_eq!(
        ann.show(&request).await,
        before,
        "who has taken it is nothing for customers"
    );
    assert_eq!(before.get("taken_by"), None);
    // Deciding what nobody has taken takes it; what somebody has, stays theirs.
    on(&sue, &request, "grant", json!({})).await.is(200);
    assert_eq!(shown(&sue, &request).await["request"]["taken_by"], "sam");
}

#[tokio::test]
async fn the_queue_is_found_through() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let bob = Customer(server.user("bob", "beta", Role::Member).await);
    let cyd = Customer(server.user("cyd", "gamma", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    ann.0.network("10.0.0.0/24").await;
    let (a, b, c) = (ann.file().await, bob.file().await, cyd.file().await);
    on(&sue, &b, "take", json!({})).await.is(200);
    on(&sue, &c, "decline", json!({ "message": "not this time" }))
        .await
        .is(200);
    let row = sue.get("/portolan/v1/support/requests").await.is(200).json()["items"][0].clone();
    assert_eq!((&row["networks"], &row["clusters"]), (&json!(1), &json!(0)));
    assert_eq!(
        queue(&sue, "").await,
        [a.clone(), b.clone()],
        "what is open, the oldest first"
    );
    assert_eq!(queue(&sue, "state=all").await, [c.clone(), b.clone(), a.clone()]);
    assert_eq!(queue(&sue, "state=declined").await, [c.as_str()]);
    assert_eq!(queue(&sue, "taker=me").await, [b.as_str()]);
    assert_eq!(queue(&sue, "taker=sue").await, [b.as_str()]);
    assert_eq!(queue(&sue, "taker=none").await, [a.as_str()]);
    assert_eq!(queue(&sue, &format!("project={}", bob.0.project)).await, [b.as_str()]);
    assert_eq!(queue(&sue, "q=ALPHA").await, [a.as_str()]);
    assert_eq!(queue(&sue, &format!("q={}", &b[30..])).await, [b.as_str()]);
    assert_eq!(queue(&sue, &format!("marker={a}")).await, [b.as_str()]);
    assert_eq!(queue(&sue, &format!("state=all&marker={b}")).await, [a]);
    for bad in ["state=nonsense", "project=nonsense", "marker=nonsense"] {
        sue.get(&format!("/portolan/v1/support/requests?{bad}")).await.is(400);
    }
    let found = sue.get("/portolan/v1/support/projects?q=bet").await.is(200).json();
    assert_eq!(
        (&found["items"][0]["name"], &found["total"]),
        (&json!("beta"), &json!(1))
    );
    let plain = bob.0.project.to_uppercase();
    let found = sue
        .get(&format!("/portolan/v1/support/projects?q={plain}"))
        .await
        .is(200);
    assert_eq!(found.json()["items"][0]["granted"], false);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let bob = Customer(server.user("bob", "beta", Role::Member).await);
    let (foreign, _) = bob.0.network("10.0.0.0/24").await;
    let foreign_request = bob.file().await;
    let wide = "й".repeat(TEXT_MAX);
    for (body, code, field) in [
        (
            json!({ "purpose": "  too short ", "nodes": 1 }),
            "value.too_short",
            "purpose",
        ),
        (
            json!({ "purpose": format!("{wide}x"), "nodes": 1 }),
            "value.too_long",
            "purpose",
        ),
        (
            json!({ "purpose": "with a \u{7} bell in it", "nodes": 1 }),
            "value.control_character",
            "purpose",
        ),
        (json!({ "purpose": PURPOSE, "nodes": 0 }), "value.out_of_range", "nodes"),
        (
            json!({ "purpose": PURPOSE, "nodes": NODES_MAX + 1 }),
            "value.out_of_range",
            "nodes",
        ),
    ] {
        let problem = refused(&ann.0.post(&ann.path(""), body).await, 400, code);
        assert_eq!(problem["field"], field);
    }
    let unknown = json!({ "purpose": PURPOSE, "nodes": 1, "colour": "red" });
    refused(&ann.0.post(&ann.path(""), unknown).await, 400, "body.malformed");
    let body = json!({ "purpose": PURPOSE, "nodes": 1, "network": foreign });
    refused(&ann.0.post(&ann.path(""), body).await, 404, "not_found");
    let body = json!({ "purpose": PURPOSE, "nodes": 1, "quotes": foreign_request });
    refused(&ann.0.post(&ann.path(""), body).await, 404, "not_found");
    // As long as allowed, counted in characters.
    ann.0
        .post(&ann.path(""), json!({ "purpose": wide, "nodes": 1 }))
        .await
        .is(201);
    refused(
        &ann.0.get(&ann.path(&format!("/{foreign_request}"))).await,
        404,
        "not_found",
    );
}

#[tokio::test]
async fn a_create_with_a_key_is_done_once() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let headers = [("x-auth-token", ann.0.token.as_str()), ("idempotency-key", "k1")];
    let body = json!({ "purpose": PURPOSE, "nodes": 1 }).to_string();
    let first = server.ask("POST", &ann.path(""), &headers, body.clone()).await.is(201);
    let again = server.ask("POST", &ann.path(""), &headers, body).await.is(201);
    assert_eq!(id(&first.json()["item"]), id(&again.json()["item"]));
    let path = ann.path(&format!("/{}/messages", id(&first.json()["item"])));
    let said = json!({ "text": "once" }).to_string();
    for _ in 0..2 {
        let reply = server.ask("POST", &path, &headers[..1], said.clone()).await.is(200);
        drop(reply);
    }
    let headers = [("x-auth-token", ann.0.token.as_str()), ("idempotency-key", "k2")];
    for _ in 0..2 {
        let reply = server.ask("POST", &path, &headers, said.clone()).await.is(200);
        assert_eq!(reply.json()["item"]["thread"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_thread_is_full_without_telling_how_many_notes_there_are() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let request = ann.file().await;
    let note = json!({ "text": "a note", "internal": true });
    for _ in 0..MESSAGES_MAX {
        on(&sue, &request, "messages", note.clone()).await.is(200);
    }
    refused(&on(&sue, &request, "messages", note).await, 409, "request.full");
    for _ in 0..MESSAGES_MAX {
        ann.on(&request, "messages", json!({ "text": "x" })).await.is(200);
    }
    let full = ann.on(&request, "messages", json!({ "text": "x" })).await;
    assert_eq!(
        refused(&full, 409, "request.full")["params"]["max"],
        json!(MESSAGES_MAX.to_string())
    );
    refused(
        &on(&sue, &request, "ask", json!({ "text": "x" })).await,
        409,
        "request.full",
    );
    assert_eq!(
        ann.show(&request).await["state"],
        "new",
        "what is refused changes nothing"
    );
}

#[tokio::test]
async fn customers_never_learn_of_notes_nor_names() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    // Somebody of support's who has a role in the project as well is support all the same.
    let sue = server.user("suspicious-sue", "helpdesk", Role::Support).await;
    let admin = server.admin().await;
    let user = server
        .control
        .read(|view| view.user_by_name("suspicious-sue").unwrap().id);
    let role = format!(
        "/v3/projects/{}/users/{user}/roles/{}",
        ann.0.project,
        Role::Reader.id()
    );
    admin.ask("PUT", &role, "").await.is(204);
    let request = ann.file().await;
    let mut mine = Stream::open(&ann.0, "", &[]).await;
    let mut theirs = Stream::at(&sue, "", &[]).await;
    let quiet = ann.show(&request).await;
    let list = ann.page().await["items"].clone();
    server.clock.pass(60);

    let note = json!({ "text": "hush-hush", "internal": true });
    let noted = on(&sue, &request, "messages", note).await.is(200).json();
    assert_eq!(noted["item"]["thread"][0]["text"], "hush-hush");
    assert_ne!(noted["item"]["updated_at"], quiet["updated_at"]);
    assert_eq!(ann.show(&request).await, quiet, "nothing of it, not even when");
    assert_eq!(ann.page().await["items"], list);
    let event = theirs.news().await.unwrap();
    let change = &event.data["changes"][0];
    assert_eq!((&change["kind"], &change["id"]), (&json!("request"), &json!(request)));
    assert_eq!(
        (&change["project"], &change["actor"]),
        (&json!(ann.0.project), &json!("suspicious-sue"))
    );
    assert_eq!(
        event.data["changes"].as_array().unwrap().len(),
        1,
        "one request, one change"
    );

    on(&sue, &request, "take", json!({})).await.is(200);
    let told = mine.news().await.unwrap();
    assert_eq!(told.id, server.head(), "the note was no event");
    assert_eq!(told.data["changes"][0]["id"], json!(request));
    assert_eq!(told.data["changes"][0].get("actor"), None);
    admin
        .post(&format!("/portolan/v1/support/requests/{request}/take"), json!({}))
        .await
        .is(200);
    on(&sue, &request, "ask", json!({ "text": "Why?" })).await.is(200);
    assert_eq!(mine.news().await.unwrap().id, server.head(), "nor was taking it over");
    on(&sue, &request, "grant", json!({ "message": "Fine." })).await.is(200);
    on(&sue, &request, "revoke", json!({ "message": "Not any more." }))
        .await
        .is(200);
    for told in [mine.news().await.unwrap(), mine.news().await.unwrap()] {
        assert!(!told.data.to_string().contains("sue"), "{told:?}");
    }
    for text in [ann.page().await.to_string(), ann.show(&request).await.to_string()] {
        for secret in ["hush", "sue", "taken_by", "\"admin\""] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    // Support sees all of it, on the customer's page too.
    let path = ann.path(&format!("/{request}"));
    let seen = sue.get(&path).await.is(200).text;
    assert!(seen.contains("hush-hush") && seen.contains("suspicious-sue"), "{seen}");
}

#[tokio::test]
async fn who_may_do_what() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let rea = Customer(server.user("rea", "alpha", Role::Reader).await);
    let bob = Customer(server.user("bob", "beta", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let admin = server.admin().await;
    let request = ann.file().await;
    let text = json!({ "text": "x" });
    // Readers follow.
    assert_eq!(rea.show(&request).await["state"], "new");
    refused(&rea.0.post(&rea.path(""), json!({})).await, 403, "auth.forbidden");
    refused(&rea.on(&request, "messages", text.clone()).await, 403, "auth.forbidden");
    refused(&rea.on(&request, "withdraw", json!({})).await, 403, "auth.forbidden");
    // Support works on its own side, and writes nothing in a customer's project.
    let support = Customer(User {
        server: &server,
        token: sue.token.clone(),
        project: ann.0.project.clone(),
    });
    refused(
        &support.on(&request, "messages", text.clone()).await,
        403,
        "auth.forbidden",
    );
    refused(
        &support.on(&request, "withdraw", json!({})).await,
        403,
        "auth.forbidden",
    );
    let internal = json!({ "text": "x", "internal": true });
    refused(&ann.on(&request, "messages", internal).await, 403, "auth.forbidden");
    // Other customers find nothing, and nobody's side is support's but support's.
    refused(&bob.on(&request, "messages", text.clone()).await, 404, "not_found");
    for user in [&ann.0, &rea.0, &bob.0] {
        for (method, path, body) in [
            ("GET", "requests".to_owned(), ""),
            ("GET", "projects".to_owned(), ""),
            ("GET", format!("requests/{request}"), ""),
            ("POST", format!("requests/{request}/take"), ""),
            ("POST", format!("requests/{request}/messages"), r#"{"text":"x"}"#),
            ("POST", format!("requests/{request}/ask"), r#"{"text":"x"}"#),
            ("POST", format!("requests/{request}/grant"), "{}"),
            (
                "POST",
                format!("requests/{request}/decline"),
                r#"{"message":"not this time"}"#,
            ),
            (
                "POST",
                format!("requests/{request}/revoke"),
                r#"{"message":"not any more"}"#,
            ),
        ] {
            let reply = user.ask(method, &format!("/portolan/v1/support/{path}"), body).await;
            refused(&reply, 403, "auth.forbidden");
        }
        refused(&user.get("/portolan/v1/events").await, 403, "auth.forbidden");
    }
    // A token counts where it is scoped to: support elsewhere is nobody here.
    let both = server.user("both", "beta", Role::Member).await;
    let helpdesk = server.control.read(|view| view.project_by_name("helpdesk").unwrap().id);
    let user = server.control.read(|view| view.user_by_name("both").unwrap().id);
    let role = format!("/v3/projects/{helpdesk}/users/{user}/roles/{}", Role::Support.id());
    admin.ask("PUT", &role, "").await.is(204);
    both.get("/portolan/v1/support/requests").await.is(403);
    let there = User {
        server: &server,
        token: server.token("both", "helpdesk").await,
        project: both.project.clone(),
    };
    there.get("/portolan/v1/support/requests").await.is(200);
    on(&admin, &request, "grant", json!({})).await.is(200);
    refused(&on(&sue, "nonsense", "take", json!({})).await, 404, "not_found");
}

#[tokio::test]
async fn quotas_say_what_there_is_and_may_be() {
    let server = Server::with(super::kit::With {
        quotas: Some(portolan_control::quotas::Quotas::default()),
        ..super::kit::With::default()
    })
    .await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    ann.make("port", json!({ "network_id": network })).await;
    let path = format!("/portolan/v1/projects/{}/quotas", ann.project);
    let list = ann.get(&path).await.is(200).json();
    let row = |list: &Value, name: &str| {
        let rows = list["items"].as_array().unwrap();
        rows.iter().find(|row| row["resource"] == name).unwrap().clone()
    };
    assert_eq!(
        row(&list, "network"),
        json!({ "resource": "network", "used": 1, "limit": 100 })
    );
    assert_eq!(
        row(&list, "port"),
        json!({ "resource": "port", "used": 1, "limit": 500 })
    );
    let admin = server.admin().await;
    let list = admin
        .get(&format!("/portolan/v1/projects/{}/quotas", admin.project))
        .await
        .is(200)
        .json();
    assert_eq!(row(&list, "port")["limit"], Value::Null, "no limit");
}

#[tokio::test]
async fn a_project_takes_its_requests_with_it() {
    let server = Server::new().await;
    let ann = Customer(server.user("ann", "alpha", Role::Member).await);
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let request = ann.file().await;
    ann.on(&request, "messages", json!({ "text": "x" })).await.is(200);
    let admin = server.admin().await;
    admin.delete(&format!("/v3/projects/{}", ann.0.project)).await.is(204);
    assert_eq!(queue(&sue, "state=all").await, [""; 0]);
    let left = server.control.read(|view| {
        let id = request.parse().unwrap();
        view.messages_of(id).count()
    });
    assert_eq!(left, 0);
}
