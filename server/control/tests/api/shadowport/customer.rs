//! The customer's way: every state and every refusal, and what customers never learn.

use portolan_core::model::Role;
use portolan_shared::v1::{MESSAGES_MAX, NODES_MAX, TEXT_MAX};
use serde_json::{Value, json};

use super::super::events::Stream;
use super::super::kit::{Server, id};
use super::{Customer, PURPOSE, on, queue, refused, shown};

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
