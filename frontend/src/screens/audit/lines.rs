//! An entry of the audit on screen: a line, and what unfolds under it.

use std::sync::Arc;

use leptos::prelude::*;
use portolan_shared::v1::{AuditEntry, AuditObject, AuditOp, FieldChange};

use super::entries::{name, op, page_of, through, who};
use crate::components::copy::copyable;
use crate::components::facts::link;
use crate::components::icon::{Icon, icon};
use crate::components::status::reason_view;
use crate::components::time::{time, use_clock};
use crate::components::{maybe, nothing};
use crate::i18n::{Key, t, tn, tp};
use crate::paths;
use crate::screens::audited;
use crate::session::use_session;

/// Where the entries are.
#[derive(Clone, Copy)]
pub(super) struct LineContext {
    /// The project; empty: all of them, and each entry says whose it is.
    pub(super) project: Signal<String>,
    /// Whether they are of one object.
    pub(super) one: Signal<bool>,
}

impl LineContext {
    fn everywhere(self) -> bool {
        self.project.with_untracked(String::is_empty)
    }

    /// The project of an entry; empty if it is nobody's.
    fn project_of(self, entry: &AuditEntry) -> String {
        match entry.project {
            Some(project) => project.to_string(),
            None => self.project.get_untracked(),
        }
    }
}

/// The row of headings.
pub(super) fn headings(context: LineContext) -> AnyView {
    let mut all = vec![Key::AuditWhen, Key::AuditWho, Key::AuditWhat, Key::AuditObject];
    if context.everywhere() {
        all.push(Key::Project);
    }
    all.push(Key::AuditThrough);
    let cells: Vec<AnyView> = all
        .into_iter()
        .map(|key| view! { <th scope="col">{t(key)}</th> }.into_any())
        .collect();
    view! {
        <tr>
            {cells} <th scope="col">
                <span class="visually-hidden">{t(Key::AuditDetails)}</span>
            </th>
        </tr>
    }
    .into_any()
}

/// An entry: its line, and its details when they are unfolded.
pub(super) fn line(entry: Arc<AuditEntry>, context: LineContext) -> AnyView {
    let session = use_session();
    let open = RwSignal::new(false);
    let project = context.project_of(&entry);
    let everywhere = context.everywhere();
    let first = entry.objects.first();
    let what = first.map_or("", |object| t(op(object)));
    let others = entry.objects.len().saturating_sub(1) as u64 + entry.more;
    let object = first.map(|object| object_view(object, &project, everywhere));
    let more = match others {
        0 => nothing(),
        others => view! { <span class="table__note">{tn(Key::AuditAndMore, others)}</span> }.into_any(),
    };
    let whose = everywhere.then(|| {
        let whose = match project.is_empty() {
            true => nothing(),
            false => link(session.project_name(&project), paths::networks(&project)),
        };
        view! { <td class="cell--name" data-label=t(Key::Project)>{whose}</td> }.into_any()
    });
    let named = first.map_or_else(String::new, name);
    let label = tp(Key::AuditDetailsOf, &[("what", what), ("object", &named)]);
    let width = if everywhere { 7 } else { 6 };
    let details = {
        let entry = Arc::clone(&entry);
        maybe(move || {
            open.get().then(|| {
                let details = details(&entry, &project, context);
                view! {
                    <tr class="audit__details">
                        <td colspan=width>{details}</td>
                    </tr>
                }
                .into_any()
            })
        })
    };
    view! {
        <tbody>
            <tr data-testid=format!("audit-row-{}", entry.revision)>
                <td class="cell--tight" data-label=t(Key::AuditWhen)>{time(entry.at.clone())}</td>
                <td data-label=t(Key::AuditWho)>{who(&entry.who)}</td>
                <td data-label=t(Key::AuditWhat)>{what}</td>
                <td class="cell--name" data-label=t(Key::AuditObject)><div>{object} {more}</div></td>
                {whose}
                <td data-label=t(Key::AuditThrough)>{t(through(entry.through))}</td>
                <td class="cell--actions">
                    <button
                        type="button"
                        class="fold"
                        aria-label=label
                        aria-expanded=move || open.get().to_string()
                        on:click=move |_| open.update(|open| *open = !*open)
                    >
                        {icon(Icon::Chevron)}
                    </button>
                </td>
            </tr>
            {details}
        </tbody>
    }
    .into_any()
}

/// What kind of thing, and its name, which leads to its page where there is one.
fn object_view(object: &AuditObject, project: &str, everywhere: bool) -> AnyView {
    let named = match page_of(object, project, everywhere) {
        Some(href) => link(name(object), href),
        None => view! { <span class="audit__name">{name(object)}</span> }.into_any(),
    };
    view! {
        <span class="audit__kind">{t(audited(object.kind).title)}</span>
        " "
        {named}
    }
    .into_any()
}

/// Before and after of every field of every object, and the request.
fn details(entry: &AuditEntry, project: &str, context: LineContext) -> AnyView {
    let everywhere = context.everywhere();
    let several = entry.objects.len() > 1;
    let objects: Vec<AnyView> = entry
        .objects
        .iter()
        .map(|object| {
            let heading = several.then(|| {
                view! {
                    <p class="audit__object">
                        <span>{t(op(object))}</span>
                        " "
                        {object_view(object, project, everywhere)}
                    </p>
                }
                .into_any()
            });
            let of = if everywhere { "" } else { project };
            let all = (several || !context.one.get_untracked()).then(|| {
                view! { <p>{link(t(Key::AuditAllOf).to_owned(), paths::audit_of(of, &object.id))}</p> }.into_any()
            });
            let said = object
                .said
                .clone()
                .map(|reason| view! { <p>{reason_view("", reason, use_clock())}</p> }.into_any());
            view! {
                {heading}
                {said}
                {fields(object)}
                {all}
            }
            .into_any()
        })
        .collect();
    let more = match entry.more {
        0 => nothing(),
        more => view! { <p>{tn(Key::AuditObjectsMore, more)}</p> }.into_any(),
    };
    let request = entry.request_id.clone().map(|request| {
        view! { <p class="audit__request">{t(Key::AuditRequest)} " " {copyable(request)}</p> }.into_any()
    });
    view! { <div class="audit__inside">{objects} {more} {request}</div> }.into_any()
}

/// The fields of an object.
fn fields(object: &AuditObject) -> AnyView {
    if object.fields.is_empty() {
        return view! { <p class="muted">{t(Key::AuditNoFields)}</p> }.into_any();
    }
    let columns = columns(object.op);
    let heading = |key: Key| view! { <th scope="col">{t(key)}</th> }.into_any();
    let headings: Vec<AnyView> = columns.iter().map(|(key, _)| heading(*key)).collect();
    let line = |field: &FieldChange| {
        let values: Vec<AnyView> = columns.iter().map(|(_, of)| value(of(field))).collect();
        view! {
            <tr>
                <th scope="row" class="mono">
                    {field.field.clone()}
                </th>
                {values}
            </tr>
        }
        .into_any()
    };
    let lines: Vec<AnyView> = object.fields.iter().map(line).collect();
    view! {
        <table class="fields">
            <thead>
                <tr>{heading(Key::AuditField)} {headings}</tr>
            </thead>
            <tbody>{lines}</tbody>
        </table>
    }
    .into_any()
}

/// A heading, and the value of a field that stands under it.
type FieldColumn = (Key, fn(&FieldChange) -> Option<&str>);

/// What was made has no before, what is gone no after.
fn columns(op: AuditOp) -> &'static [FieldColumn] {
    const BEFORE: FieldColumn = (Key::AuditBefore, |field| field.before.as_deref());
    const AFTER: FieldColumn = (Key::AuditAfter, |field| field.after.as_deref());
    match op {
        AuditOp::Create => &[AFTER],
        AuditOp::Update => &[BEFORE, AFTER],
        AuditOp::Delete => &[BEFORE],
    }
}

/// A value, or that there was none.
fn value(value: Option<&str>) -> AnyView {
    match value {
        Some(value) => view! { <td class="mono">{value.to_owned()}</td> }.into_any(),
        None => view! { <td class="muted">{t(Key::AuditAbsent)}</td> }.into_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_has_no_before_and_what_is_gone_no_after() {
        let keys = |op| columns(op).iter().map(|(key, _)| *key).collect::<Vec<_>>();
        assert_eq!(keys(AuditOp::Create), [Key::AuditAfter]);
        assert_eq!(keys(AuditOp::Update), [Key::AuditBefore, Key::AuditAfter]);
        assert_eq!(keys(AuditOp::Delete), [Key::AuditBefore]);
    }
}
