//! Healing does not fight: how often an item was put back, and when it may be put back next.
//!
//! A loss is an item that was as wanted after a round and is not at the next, although nobody wants it
//! otherwise. It is put back at once, but an item that another program takes away again and again is
//! *contested*: see [`Limit`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::losses::LossNews;
use crate::owned::is_pod_link;
use crate::routes::{Route, Target};
use crate::signals::Signals;
use crate::step::{Change, Item, Object, Plan, Step, Want};
use portolan_shared::losses::LossKind;

/// How often an item is put back before another program's wish counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    /// This often ...
    heals: usize,
    /// ... within this time it is put back at once, ...
    within: Duration,
    /// ... and from then on this long after the last time.
    rest: Duration,
}

impl Limit {
    /// Whoever turns forwarding off means the whole host, so it is turned on again only once.
    const SWITCH: Self = Self {
        heals: 1,
        within: Duration::from_secs(24 * 60 * 60),
        rest: Duration::from_secs(24 * 60 * 60),
    };
    /// Everything else is of pods alone.
    const OTHER: Self = Self {
        heals: 3,
        within: Duration::from_secs(60),
        rest: Duration::from_secs(60),
    };

    fn of(item: &Item) -> Self {
        match item {
            Item::Switch(_) => Self::SWITCH,
            _ => Self::OTHER,
        }
    }
}

/// Something that is lost.
#[derive(Debug)]
struct Open {
    since: Duration,
    kind: LossKind,
    /// Who took it away, as far as that was told.
    by: Option<String>,
}

/// How often an item was put back lately.
#[derive(Debug, Default)]
struct Record {
    /// When, newest last; as many as its limit counts.
    heals: VecDeque<Duration>,
    contested: bool,
}

impl Record {
    fn heal(&mut self, limit: Limit, now: Duration) {
        self.heals.push_back(now);
        if self.heals.len() > limit.heals {
            self.heals.pop_front();
        }
    }
}

/// What is known of the items of a host from round to round.
#[derive(Debug, Default)]
pub struct Healing {
    /// What was as wanted after the last round.
    held: BTreeMap<Item, Want>,
    lost: BTreeMap<Item, Open>,
    records: BTreeMap<Item, Record>,
}

/// What a round has found lost, to be handed from [`Healing::admit`] to [`Healing::finish`].
#[derive(Debug, Default)]
pub struct Admitted {
    /// Why steps were taken out of the plan, and for whom.
    pub withheld: Vec<(Object, String)>,
    /// How long until the first of them may be made.
    pub again: Option<Duration>,
    items: Vec<Item>,
    newly: Vec<LossKind>,
    /// What was lost and is not wanted any more, with for how long it was away.
    ended: Vec<(LossKind, Duration)>,
}

impl Healing {
    /// Finds out what was lost, and takes those steps out of the plan that have to wait. `now` is the
    /// time on any clock that only goes forward, `since` the time on it when the first sign of a loss
    /// was seen; `signals` is what was announced since the last round. `paused` is said of all steps, none of which may be
    /// made then: by whom healing is paused.
    pub fn admit(
        &mut self,
        plan: &mut Plan,
        signals: &Signals,
        paused: Option<&str>,
        since: Duration,
        now: Duration,
    ) -> Admitted {
        let mut admitted = Admitted {
            ended: self.forget(plan, now),
            ..Admitted::default()
        };
        let signs = Signs::of(plan, signals);
        for item in &plan.missing {
            admitted.newly.extend(self.note_loss(item, None, &signs, since));
        }
        let mut steps = Vec::with_capacity(plan.steps.len());
        for step in std::mem::take(&mut plan.steps) {
            let item = step.change.item();
            if !step.change.removes() {
                let found = found(&step.change);
                admitted.newly.extend(self.note_loss(&item, found, &signs, since));
            }
            let by = |lost: &BTreeMap<Item, Open>| lost.get(&item).and_then(|open| open.by.clone());
            let words = match (paused, self.wait(&item, now)) {
                (None, None) => {
                    steps.push(step);
                    continue;
                }
                (None, Some(wait)) => {
                    let again = admitted.again.map_or(wait, |again| again.min(wait));
                    admitted.again = Some(again);
                    contested(&step, by(&self.lost).as_deref())
                }
                (Some(paused), _) => left_as_it_is(&step, paused, by(&self.lost).as_deref()),
            };
            admitted.withheld.push((step.object, words));
            admitted.items.push(item);
        }
        plan.steps = steps;
        admitted
    }

    /// Notes how the steps of the plan went, in their order: whether each was made. Returns what was
    /// lost and found, by kind.
    pub fn finish(
        &mut self,
        plan: Plan,
        made: impl IntoIterator<Item = bool>,
        admitted: Admitted,
        now: Duration,
    ) -> BTreeMap<LossKind, LossNews> {
        let mut absent = plan.missing;
        absent.extend(admitted.items);
        for (step, made) in plan.steps.iter().zip(made) {
            let item = step.change.item();
            if !made {
                absent.push(item);
            } else if self.lost.contains_key(&item) || step.change.removes() {
                let limit = Limit::of(&item);
                self.records.entry(item).or_default().heal(limit, now);
            }
        }
        self.held = plan.wanted;
        for item in &absent {
            self.held.remove(item);
        }
        let mut news: BTreeMap<LossKind, LossNews> = BTreeMap::new();
        for kind in admitted.newly {
            news.entry(kind).or_default().lost += 1;
        }
        for (kind, away) in admitted.ended {
            let of_kind = news.entry(kind).or_default();
            of_kind.away = of_kind.away.max(away);
        }
        let (held, records) = (&self.held, &self.records);
        self.lost.retain(|item, open| {
            let there = held.contains_key(item);
            let of_kind = news.entry(open.kind).or_default();
            if there {
                of_kind.away = of_kind.away.max(now.saturating_sub(open.since));
            } else {
                of_kind.open += 1;
            }
            if of_kind.by.is_none() {
                of_kind.by.clone_from(&open.by);
            }
            of_kind.contested |= records.get(item).is_some_and(|record| record.contested);
            !there
        });
        news
    }

    /// What nobody wants any more is not lost, and what has held for long is not contested any more.
    fn forget(&mut self, plan: &Plan, now: Duration) -> Vec<(LossKind, Duration)> {
        let mut ended = Vec::new();
        self.lost.retain(|item, open| {
            let wanted = plan.wanted.contains_key(item);
            if !wanted {
                ended.push((open.kind, now.saturating_sub(open.since)));
            }
            wanted
        });
        let lost = &self.lost;
        self.records.retain(|item, record| {
            let keep = Limit::of(item).within.max(Limit::of(item).rest);
            let recent = record.heals.back().is_some_and(|at| now.saturating_sub(*at) < keep);
            recent || lost.contains_key(item)
        });
        ended
    }

    /// Notes that an item is not as wanted, if it was; of which kind the loss is, if it is new. `found`
    /// is the route of ours in its place.
    fn note_loss(
        &mut self,
        item: &Item,
        found: Option<&Route>,
        signs: &Signs<'_>,
        since: Duration,
    ) -> Option<LossKind> {
        let held = self.held.get(item)?;
        if let (Want::Route(held), Some(found)) = (held, found)
            && held == found
        {
            return None; // It is as it was left: something else is wanted now.
        }
        let kind = signs.kind(item, held);
        let by = signs.signals.by.get(item).cloned();
        self.lost.insert(item.clone(), Open { since, kind, by });
        Some(kind)
    }

    /// How long an item has to wait before it may be put back; `None`: not at all.
    fn wait(&mut self, item: &Item, now: Duration) -> Option<Duration> {
        let (record, limit) = (self.records.get_mut(item)?, Limit::of(item));
        let recent = record.heals.iter().filter(|at| now.saturating_sub(**at) < limit.within);
        record.contested |= recent.count() >= limit.heals;
        let due = *record.heals.back()? + limit.rest;
        (record.contested && now < due).then(|| due - now)
    }
}

/// The route of ours that a step found in its place.
fn found(change: &Change) -> Option<&Route> {
    match change {
        Change::PutRoute { found, .. } => found.as_ref(),
        _ => None,
    }
}

/// By what the cause of a loss is seen.
struct Signs<'a> {
    signals: &'a Signals,
    /// Addresses of the node that are not there.
    addresses: BTreeSet<IpAddr>,
    /// Whether a link that is no pod's is down, or was.
    uplink: bool,
    /// Pods' links that are down, or were.
    pod_links: BTreeSet<&'a str>,
}

impl<'a> Signs<'a> {
    fn of(plan: &Plan, signals: &'a Signals) -> Self {
        let gone = plan.missing.iter().filter_map(|item| match item {
            Item::NodeAddress(address) => Some(*address),
            _ => None,
        });
        let down = signals.links_down.iter().map(String::as_str);
        let uplink_down = plan.missing.iter().any(|item| matches!(item, Item::Uplink(_)));
        Self {
            signals,
            addresses: gone.chain(signals.addresses_gone.iter().copied()).collect(),
            uplink: uplink_down || down.clone().any(|name| !is_pod_link(name)),
            pod_links: down.filter(|name| is_pod_link(name)).collect(),
        }
    }

    fn kind(&self, item: &Item, held: &Want) -> LossKind {
        match (item, held) {
            (Item::NodeAddress(_), _) => LossKind::NodeAddress,
            (Item::Uplink(_), _) => LossKind::Uplink,
            (Item::Switch(_), _) => LossKind::Forwarding,
            (Item::Gateway, _) => LossKind::Gateway,
            (Item::PodLink(_) | Item::StrayLink(_), _) => LossKind::PodLink,
            (Item::Route(_), Want::Route(route)) => self.of_route(route),
            (Item::Route(_), Want::Present) => LossKind::Routes,
            (Item::PortRules(_) | Item::HostPort(_), _) => LossKind::HostPorts,
        }
    }

    fn of_route(&self, route: &Route) -> LossKind {
        if route.source.is_some_and(|source| self.addresses.contains(&source)) {
            return LossKind::NodeAddress;
        }
        match &route.target {
            Target::Link(name) if self.pod_links.contains(name.as_str()) => LossKind::PodLink,
            Target::Via(_) if self.uplink => LossKind::Uplink,
            _ => LossKind::Routes,
        }
    }
}

/// What is said of a step that has to wait; `by` is who made it necessary, as far as that was told.
fn contested(step: &Step, by: Option<&str>) -> String {
    let item = step.change.item();
    let whom = by.map_or_else(|| "another program".to_owned(), |by| format!("another program ({by})"));
    match &step.change {
        Change::TurnOn(sysctl) => format!(
            "{item} was turned off again by another program or person; pods have no network without it. Find what sets \
             it, such as a file in /etc/sysctl.d, and run sysctl -w {}=1",
            sysctl.path().replace('/', ".")
        ),
        change if change.removes() => format!(
            "contested: {item} is made again and again by {whom}, with Portolan's mark; it is removed once a minute \
             until that ends"
        ),
        _ => format!(
            "contested: {item} is taken away or changed again and again by {whom}; it is put back once a minute until \
             that ends (ip monitor shows when it happens)"
        ),
    }
}

/// What is said of a step that is not made because healing is paused.
fn left_as_it_is(step: &Step, paused: &str, by: Option<&str>) -> String {
    let item = step.change.item();
    let is = match (step.change.removes(), by) {
        (true, _) => "is there and is to go".to_owned(),
        (false, Some(by)) => format!("is not as it is to be ({by} changed it)"),
        (false, None) => "is not as it is to be".to_owned(),
    };
    format!("{item} {is}, and is left so: healing {paused}; portolan-agent resume ends that")
}

#[cfg(test)]
mod tests;
