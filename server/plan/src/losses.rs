//! What was lost and came back, kept for telling.

use std::collections::BTreeMap;
use std::time::Duration;

use portolan_shared::losses::LossKind;

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// What happened, as a sentence without its end.
const fn sentence(kind: LossKind) -> &'static str {
    match kind {
        LossKind::NodeAddress => "the node's address was taken off this host, and what needs it went too",
        LossKind::Uplink => "a link of the node was set down, and its routes went with it",
        LossKind::Forwarding => "forwarding was turned off by another program",
        LossKind::Gateway => "the pods' gateway was taken off lo by another program",
        LossKind::PodLink => "links of pods were set down, damaged or removed",
        LossKind::Routes => "routes of ours were removed or replaced by another program",
        LossKind::HostPorts => "rules of host ports were removed from the packet filter by another program",
    }
}

/// What one round saw of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LossNews {
    /// How many objects were found lost that were there before.
    pub lost: usize,
    /// For how long those that are back now were away, the longest.
    pub away: Duration,
    /// How many are lost now.
    pub open: usize,
    /// Whether an object was lost so often that it is put back only once in a while.
    pub contested: bool,
    /// Who took one of them away, as far as that was told.
    pub by: Option<String>,
}

/// The newest loss of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What was lost, and why.
    pub kind: LossKind,
    /// How many objects, since `first_seen`.
    pub objects: usize,
    /// When the first of them was found lost, in microseconds since 1970.
    pub first_seen: i64,
    /// After how many milliseconds all of them were back, or not wanted any more; absent while one is lost.
    pub back_after_ms: Option<u64>,
    /// How many losses of this kind there were on the (UTC) day of `first_seen`, with this one.
    pub today: u32,
    /// Whether another program takes an object away again and again, so that it is put back only once
    /// in a while.
    pub contested: bool,
    /// Who took one of them away, as a name for people; kernels do not tell it of everything.
    pub by: Option<String>,
}

impl Loss {
    /// All of it, as a sentence.
    pub fn sentence(&self) -> String {
        let mut sentence = format!("{} ({} in all", sentence(self.kind), self.objects);
        match &self.by {
            Some(by) => sentence.push_str(&format!(", by {by})")),
            None => sentence.push(')'),
        }
        match self.back_after_ms {
            Some(ms) => sentence.push_str(&format!("; all is as wanted again after {ms} ms")),
            None => sentence.push_str("; not all is as wanted again yet"),
        }
        if self.today > 1 {
            sentence.push_str(&format!(" (loss {} of this kind today)", self.today));
        }
        if self.contested {
            sentence.push_str("; this happens again and again, so it is put back only once in a while");
        }
        sentence
    }
}

/// The newest loss of each kind, kept for as long as the agent runs.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    newest: BTreeMap<LossKind, Loss>,
}

impl Losses {
    /// Takes in what a round saw at `now` (microseconds since 1970). Returns the losses that are new, or
    /// whose objects are all back.
    pub fn round(&mut self, news: &BTreeMap<LossKind, LossNews>, now: i64) -> Vec<Loss> {
        news.iter()
            .filter_map(|(kind, news)| self.of_kind(*kind, news, now))
            .collect()
    }

    /// The newest loss of each kind.
    pub fn list(&self) -> Vec<Loss> {
        self.newest.values().cloned().collect()
    }

    fn of_kind(&mut self, kind: LossKind, news: &LossNews, now: i64) -> Option<Loss> {
        let before = self.newest.get(&kind);
        let open = before.filter(|loss| loss.back_after_ms.is_none());
        let mut loss = match (open, before) {
            (Some(open), _) => Loss {
                objects: open.objects + news.lost,
                ..open.clone()
            },
            (None, _) if news.lost == 0 => return None,
            (None, before) => {
                let same_day = before.filter(|loss| loss.first_seen.div_euclid(DAY) == now.div_euclid(DAY));
                Loss {
                    kind,
                    objects: news.lost,
                    first_seen: now,
                    back_after_ms: None,
                    today: same_day.map_or(1, |loss| loss.today.saturating_add(1)),
                    contested: false,
                    by: None,
                }
            }
        };
        loss.contested = news.contested;
        loss.by = news.by.clone().or(loss.by);
        if news.open == 0 {
            // By the clock of the rounds: the time of day may have been set meanwhile.
            loss.back_after_ms = Some(u64::try_from(news.away.as_millis()).unwrap_or(u64::MAX));
        }
        let told = open.is_none() || loss.back_after_ms.is_some();
        self.newest.insert(kind, loss.clone());
        told.then_some(loss)
    }
}
