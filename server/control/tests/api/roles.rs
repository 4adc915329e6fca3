//! Every route, called by everybody who might: what each gets is in `roles.txt`, and a permission
//! that is not explained there is a failure. A line with `{resource}` is of every resource of `/v2.0` that has the route and
//! no line of its own for it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_control::api::resources::RESOURCES;
use portolan_control::api::v1::operation::Who;
use portolan_control::api::v1::routes::operations;
use portolan_core::model::Role;
use serde_json::{Value, json};

use super::cases::{OPEN, Things, cases};
use super::kit::{PASSWORD, Server, log_in};
use super::routes::routes;

/// Method, path, and the statuses of [`PEOPLE`]; after them, why more is allowed than one expects.
const LIST: &str = include_str!("roles.txt");

/// Who calls, in the list's order.
const PEOPLE: [&str; 6] = ["nobody", "other", "reader", "member", "support", "admin"];

/// Lines with an explanation: more are only for new routes that have a good one.
const EXPLAINED: usize = 25;

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    statuses: Vec<u16>,
    why: String,
}

/// The lines, by method and path.
fn lines() -> BTreeMap<(String, String), Line> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut all = BTreeMap::new();
    for line in lines {
        let (facts, why) = line.split_once(" # ").unwrap_or((line, ""));
        let mut words = facts.split_whitespace();
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let statuses: Vec<u16> = words.map(|word| word.parse().unwrap()).collect();
        assert_eq!(statuses.len(), PEOPLE.len(), "{line}");
        let why = why.trim().to_owned();
        let before = all.insert((method, path), Line { statuses, why });
        assert_eq!(before, None, "{line}: twice");
    }
    all
}

/// A line for each route.
fn list() -> BTreeMap<(String, String), Line> {
    let (of_resources, mut all): (BTreeMap<_, _>, BTreeMap<_, _>) = lines()
        .into_iter()
        .partition(|((_, path), _)| path.contains("/{resource}"));
    let routes = routes();
    for ((method, path), line) in of_resources {
        let paths = RESOURCES
            .iter()
            .map(|listing| path.replace("/{resource}", listing.names.path));
        for path in paths {
            let key = (method.clone(), path);
            if routes.contains(&key) {
                all.entry(key).or_insert_with(|| line.clone());
            }
        }
    }
    all
}

/// A server with somebody of every kind and something of every kind.
struct World {
    server: Server,
    things: Things,
    tokens: Vec<Option<String>>,
}

impl World {
    async fn new() -> Self {
        let server = Server::new().await;
        let ann = server.user("ann", "alpha", Role::Member).await;
        let things = Things::of(&ann).await;
        let tokens = vec![
            None,
            Some(server.user("bob", "beta", Role::Member).await.token),
            Some(server.user("rea", "alpha", Role::Reader).await.token),
            Some(ann.token.clone()),
            Some(server.user("sue", "helpdesk", Role::Support).await.token),
            Some(server.admin().await.token),
        ];
        Self { server, things, tokens }
    }

    /// The status of a call by one of [`PEOPLE`].
    async fn call(&self, person: usize, method: &str, route: &str, body: &str) -> u16 {
        let mut path = self.things.fill(route);
        let stream = path.ends_with("/events");
        if stream {
            path = format!("{path}?project={}", self.things.project);
        }
        // Whose token a call about tokens is about: a second one of the member's.
        let subject = self.server.token("ann", "alpha").await;
        let mut headers = vec![("x-subject-token", subject.as_str())];
        headers.extend(self.tokens[person].as_deref().map(|token| ("x-auth-token", token)));
        let body = self.things.fill(body);
        if stream {
            // It has no end to wait for.
            return self.server.raw(method, &path, &headers, body).await.status().as_u16();
        }
        self.server.ask(method, &path, &headers, body).await.status
    }
}

/// What everybody gets at the routes below a prefix, as lines of the list.
async fn compare(prefix: &str) {
    let list = list();
    let mut world = World::new().await;
    let mut wrong = Vec::new();
    let log_in = log_in("ann", PASSWORD, Value::Null).to_string();
    let console = json!({ "user": "ann", "password": PASSWORD }).to_string();
    let open = OPEN.iter().map(|(method, path)| {
        let body = match (*method, *path) {
            ("GET", _) => "",
            (_, "/v3/auth/tokens") => log_in.as_str(),
            _ => console.as_str(),
        };
        (*method, *path, body)
    });
    let cases = cases();
    let cases = cases
        .iter()
        .map(|(method, route, body, _)| (*method, route.as_str(), body.as_str()))
        .chain(open);
    for (method, route, body) in cases.filter(|(_, route, _)| route.starts_with(prefix)) {
        let mut got = Vec::new();
        for person in 0..PEOPLE.len() {
            let status = world.call(person, method, route, body).await;
            got.push(status);
            if status < 300 && method != "GET" {
                world = World::new().await;
            }
        }
        let said = list.get(&(method.to_owned(), route.to_owned()));
        if said.map(|line| &line.statuses) != Some(&got) {
            let said = said.map_or("nothing".to_owned(), |line| format!("{:?}", line.statuses));
            let got: Vec<String> = got.iter().map(u16::to_string).collect();
            wrong.push(format!("{method} {route} {}    # the list says {said}", got.join(" ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{PEOPLE:?} get, and roles.txt says otherwise:\n{}",
        wrong.join("\n")
    );
}

#[tokio::test]
async fn networking_allows_what_the_list_says() {
    compare("/v2.0").await;
}

#[tokio::test]
async fn identity_allows_what_the_list_says() {
    compare("/v3").await;
}

#[tokio::test]
async fn portolan_allows_what_the_list_says() {
    compare("/portolan").await;
}

#[test]
fn every_route_is_in_the_list_and_nothing_else() {
    let known: BTreeSet<_> = list().into_keys().collect();
    let routes: BTreeSet<_> = routes()
        .into_iter()
        .filter(|(_, path)| ["/v2.0", "/v3", "/portolan"].iter().any(|api| path.starts_with(api)))
        .collect();
    let missing: Vec<_> = routes.difference(&known).collect();
    assert!(missing.is_empty(), "routes that roles.txt does not name: {missing:?}");
    let gone: Vec<_> = known.difference(&routes).collect();
    assert!(gone.is_empty(), "lines without a route: {gone:?}");
}

/// Whether a status means that somebody may: it can still be told that it cannot be done now.
fn may(status: u16) -> bool {
    !matches!(status, 401 | 403 | 404)
}

#[test]
fn what_is_allowed_beyond_the_rule_is_explained() {
    let mut explained = 0;
    for ((method, path), Line { statuses, why }) in lines() {
        let [nobody, other, reader, _, support, _] = statuses[..] else {
            panic!("{method} {path}: six people")
        };
        let writes = method != "GET";
        let more = may(nobody) || may(other) || (writes && (may(reader) || may(support)));
        assert_eq!(
            more,
            !why.is_empty(),
            "{method} {path}: a reason if and only if it needs one"
        );
        explained += usize::from(more);
        let foreign = path.starts_with("/v2.0/") || path.starts_with("/portolan/v1/projects/");
        if writes && foreign {
            assert_eq!(support, 403, "{method} {path}: support writes in nobody's project");
        }
    }
    assert!(
        explained <= EXPLAINED,
        "{explained} lines with a reason, {EXPLAINED} are allowed"
    );
}

#[test]
fn the_document_says_who_may_as_the_list_does() {
    let list = list();
    for operation in operations() {
        let key = (
            operation.route.method.to_string(),
            format!("/portolan/v1{}", operation.route.path),
        );
        let statuses = &list[&key].statuses;
        let got: Vec<bool> = statuses.iter().map(|status| may(*status)).collect();
        let writes = !operation.reads();
        let expected = match operation.who {
            Who::Anybody => [true; 6],
            // By cookie, and these have tokens.
            Who::Session => [false; 6],
            Who::Reader => [false, false, true, true, true, true],
            Who::Member => [false, false, !writes, true, !writes, true],
            Who::Support => [false, false, false, false, true, true],
            Who::Admin => [false, false, false, false, false, true],
        };
        assert_eq!(got, expected, "{} {statuses:?}", operation.id);
    }
}
