//! The audit as data: what a filter asks for, how pages join, what things are called. Pure.

use std::sync::Arc;

use portolan_shared::v1::{AuditEntry, AuditKind, AuditObject, AuditOp, List, Through, Who};

use crate::i18n::{Key, t, tp};
use crate::screens::words::name_or_id;
use crate::screens::{AUDITED_WORDS, audited};

/// What the server can be asked for, and the values it knows; none: any.
const KEYS: &[(&str, &[&str])] = &[
    ("who", &[]),
    ("object", &[]),
    ("op", &["create", "update", "delete"]),
    ("through", &["console", "api", "agent", "system"]),
    ("kind", AUDITED_WORDS),
    ("project", &[]),
];

/// What was typed into the filter, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Asked of the server: key and value.
    asked: Vec<(&'static str, String)>,
    /// Looked for in what is shown.
    words: Vec<String>,
    /// A value that the server does not know: key, value, those it knows.
    wrong: Option<(&'static str, String, &'static [&'static str])>,
}

impl AuditFilter {
    /// Reads what was typed. An unknown key counts as a word; `project` is a key only in the audit of all projects.
    pub fn parse(text: &str, everywhere: bool) -> Self {
        let mut filter = Self::default();
        for word in text.split_whitespace() {
            let pair = word.split_once(':').and_then(|(key, value)| {
                let known = KEYS.iter().find(|(known, _)| *known == key)?;
                (known.0 != "project" || everywhere).then_some((known, value))
            });
            match pair {
                // Still being typed.
                Some((_, "")) => {}
                Some(((key, known), value)) if known.is_empty() || known.contains(&value) => {
                    filter.asked.push((key, value.to_owned()));
                }
                Some(((key, known), value)) => filter.wrong = Some((key, value.to_owned(), known)),
                None => filter.words.push(word.to_lowercase()),
            }
        }
        filter
    }

    /// The end of the address to ask: `&who=demo&op=delete`, values through `escape`.
    pub fn query(&self, escape: impl Fn(&str) -> String) -> String {
        let pair = |(key, value): &(&str, String)| format!("&{key}={}", escape(value));
        self.asked.iter().map(pair).collect()
    }

    /// Nothing was typed that leaves anything out.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.words.is_empty()
    }

    /// What is wrong with it, in words.
    pub fn complaint(&self) -> Option<String> {
        let (key, value, known) = self.wrong.as_ref()?;
        Some(tp(
            Key::AuditUnknownValue,
            &[("key", key), ("value", value), ("known", &known.join(", "))],
        ))
    }

    /// Whether every word is in the entry.
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let mut text = format!(
            "{} {} {}",
            who(&entry.who),
            t(through(entry.through)),
            entry.request_id.as_deref().unwrap_or_default()
        );
        for object in &entry.objects {
            for part in [t(op(object)), t(audited(object.kind).title), &object.name, &object.id] {
                text.push(' ');
                text.push_str(part);
            }
            for field in &object.fields {
                for part in [&field.before, &field.after].into_iter().flatten() {
                    text.push(' ');
                    text.push_str(part);
                }
            }
        }
        let text = text.to_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
    }
}

/// The entries known so far, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pages {
    /// In order.
    pub entries: Vec<Arc<AuditEntry>>,
    /// Where the next older page begins; none: there is none.
    pub next: Option<String>,
}

impl Pages {
    /// Takes in the first page, asked for anew. Entries never change: what is known stays the same allocation. A page
    /// covers everything down to where the next one begins, even if it has few entries. If that does not reach the
    /// known entries, those are dropped: there would be a gap.
    pub fn newest(&mut self, page: List<AuditEntry>) {
        let newest = self.entries.first().map(|entry| entry.revision);
        let reaches = page.next.as_ref().map_or(0, |next| next.parse().unwrap_or(u64::MAX));
        match newest {
            Some(newest) if reaches <= newest => {
                let fresh = page.items.into_iter().filter(|entry| entry.revision > newest);
                let fresh: Vec<_> = fresh.map(Arc::new).collect();
                self.entries.splice(0..0, fresh);
            }
            _ => {
                self.entries = page.items.into_iter().map(Arc::new).collect();
                self.next = page.next;
            }
        }
    }

    /// Takes in the next older page.
    pub fn older(&mut self, page: List<AuditEntry>) {
        let oldest = self.entries.last().map_or(u64::MAX, |entry| entry.revision);
        let older = page.items.into_iter().filter(|entry| entry.revision < oldest);
        self.entries.extend(older.map(Arc::new));
        self.next = page.next;
    }
}

/// Who did it.
pub fn who(who: &Who) -> String {
    match who {
        Who::User(name) => name.clone(),
        Who::Provider => t(Key::WhoProvider).to_owned(),
        Who::Node(name) => tp(Key::WhoNode, &[("node", name)]),
        Who::System => t(Key::WhoSystem).to_owned(),
    }
}

/// Through what.
pub fn through(through: Through) -> Key {
    match through {
        Through::Console => Key::ThroughConsole,
        Through::Api => Key::ThroughApi,
        Through::Agent => Key::ThroughAgent,
        Through::System => Key::ThroughSystem,
    }
}

/// What happened to an object.
pub fn op(object: &AuditObject) -> Key {
    match object.op {
        // It is written down each time; nobody has made it.
        AuditOp::Create | AuditOp::Update if object.kind == AuditKind::Loss => Key::OpLost,
        AuditOp::Create => Key::OpCreated,
        AuditOp::Update => Key::OpChanged,
        AuditOp::Delete => Key::OpDeleted,
    }
}

/// What to call an object.
pub fn name(object: &AuditObject) -> String {
    name_or_id(&object.name, &object.id)
}

/// The object's own page, if it has one and was not deleted; `everywhere`: in support's audit.
pub fn page_of(object: &AuditObject, project: &str, everywhere: bool) -> Option<String> {
    if object.op == AuditOp::Delete || project.is_empty() {
        return None;
    }
    (audited(object.kind).page)(project, &object.id, everywhere)
}

#[cfg(test)]
mod tests {
    use portolan_shared::v1::FieldChange;

    use super::*;

    fn entry(revision: u64) -> AuditEntry {
        AuditEntry {
            revision,
            at: "2026-11-20T12:05:00Z".into(),
            project: None,
            who: Who::User("demo".into()),
            through: Through::Api,
            request_id: Some("req-1".into()),
            objects: vec![AuditObject {
                kind: AuditKind::Network,
                id: "n1".into(),
                name: "shop".into(),
                op: AuditOp::Update,
                said: None,
                fields: vec![FieldChange {
                    field: "name".into(),
                    before: Some("Old-Shop".into()),
                    after: Some("shop".into()),
                }],
            }],
            more: 0,
        }
    }

    fn page(revisions: &[u64], next: Option<&str>) -> List<AuditEntry> {
        List {
            revision: 0,
            total: 0,
            items: revisions.iter().copied().map(entry).collect(),
            next: next.map(str::to_owned),
        }
    }

    fn known(pages: &Pages) -> Vec<u64> {
        pages.entries.iter().map(|entry| entry.revision).collect()
    }

    #[test]
    fn new_entries_come_on_top_and_older_ones_below() {
        let mut pages = Pages::default();
        pages.newest(page(&[9, 7], Some("7")));
        pages.older(page(&[5, 3], None));
        let kept = Arc::clone(&pages.entries[0]);
        pages.newest(page(&[12, 9], Some("9")));
        assert_eq!((known(&pages), pages.next.clone()), (vec![12, 9, 7, 5, 3], None));
        assert!(Arc::ptr_eq(&kept, &pages.entries[1]), "an entry never changes");
    }

    #[test]
    fn nothing_is_shown_with_a_gap_in_it() {
        let mut pages = Pages::default();
        pages.newest(page(&[9, 7], Some("7")));
        pages.older(page(&[5, 3], None));
        pages.newest(page(&[20, 19], Some("19")));
        assert_eq!((known(&pages), pages.next.as_deref()), (vec![20, 19], Some("19")));
    }

    #[test]
    fn a_page_that_ends_it_all_or_holds_nothing_still_joins() {
        let mut pages = Pages::default();
        pages.newest(page(&[], None));
        assert_eq!(known(&pages), [] as [u64; 0]);
        pages.newest(page(&[4], None));
        pages.newest(page(&[5, 4], None));
        assert_eq!(known(&pages), [5, 4]);
        pages.newest(page(&[], Some("5")));
        assert_eq!(known(&pages), [5, 4], "nothing that matches down to 5");
        pages.newest(page(&[], Some("900")));
        assert_eq!((known(&pages), pages.next.as_deref()), (vec![], Some("900")));
    }

    #[test]
    fn keys_ask_the_server_and_words_look_in_what_is_shown() {
        let filter = AuditFilter::parse("who:demo old-shop op:update", false);
        assert_eq!(filter.query(str::to_owned), "&who=demo&op=update");
        assert!(filter.matches(&entry(1)) && !filter.is_empty());
        assert!(!AuditFilter::parse("db", false).matches(&entry(1)));
        assert!(AuditFilter::parse("REQ-1 network API", false).matches(&entry(1)));
    }

    #[test]
    fn a_value_nobody_knows_is_not_asked_for_but_said() {
        let filter = AuditFilter::parse("kind:prot", false);
        assert_eq!(filter.query(str::to_owned), "");
        assert!(filter.complaint().unwrap().contains("port"));
        assert_eq!(
            AuditFilter::parse("kind: op:create", false).complaint(),
            None,
            "still typing"
        );
    }

    #[test]
    fn only_the_audit_of_all_projects_asks_for_one() {
        assert_eq!(
            AuditFilter::parse("project:p1", true).query(str::to_owned),
            "&project=p1"
        );
        assert_eq!(AuditFilter::parse("project:p1", false).query(str::to_owned), "");
    }

    #[test]
    fn what_is_gone_or_has_no_page_is_no_link() {
        let object = |kind, op| AuditObject {
            kind,
            op,
            ..entry(1).objects.remove(0)
        };
        let page = |kind, op, everywhere| page_of(&object(kind, op), "p", everywhere);
        assert_eq!(
            page(AuditKind::Network, AuditOp::Update, false).as_deref(),
            Some("/p/p/networks/n1")
        );
        assert_eq!(page(AuditKind::Network, AuditOp::Delete, false), None);
        assert_eq!(page(AuditKind::User, AuditOp::Create, false), None);
        let loss = AuditObject {
            id: "c1/n1/routes".into(),
            ..object(AuditKind::Loss, AuditOp::Update)
        };
        assert_eq!(page_of(&loss, "p", false), Some(crate::paths::cluster_nodes("p", "c1")));
        assert_eq!(
            page(AuditKind::Request, AuditOp::Update, true).as_deref(),
            Some("/support/queue/n1")
        );
        assert_eq!(
            page(AuditKind::Request, AuditOp::Update, false).as_deref(),
            Some("/p/p/shadowport/n1")
        );
    }
}
