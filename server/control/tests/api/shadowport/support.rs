//! Support's way: the queue, decisions and their ends, and who may do what.

use portolan_core::model::Role;
use serde_json::{Value, json};

use super::super::kit::{Server, User, With};
use super::{Customer, on, queue, refused, shown};

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
    let server = Server::with(With {
        quotas: Some(portolan_core::quotas::Quotas::default()),
        ..With::default()
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
