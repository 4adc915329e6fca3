//! Where a request stands, and what happens next: pure, for both sides.

use portolan_shared::v1::{RequestState, ShadowRequest, ShadowportPage, Side};

use crate::components::steps::{Step, StepMark};
use crate::i18n::{Key, format, t, tp};
use crate::table::Tone;

/// How a granted request is, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStatus {
    /// It holds.
    Holds,
    /// Somebody of support took it back.
    Revoked,
    /// Its date has passed.
    Ended,
}

/// How the grant of a request is; `None` if it has none.
pub fn grant_status(request: &ShadowRequest) -> Option<GrantStatus> {
    let grant = request.grant.as_ref()?;
    Some(match (grant.active, &grant.revoked) {
        (_, Some(_)) => GrantStatus::Revoked,
        (true, None) => GrantStatus::Holds,
        (false, None) => GrantStatus::Ended,
    })
}

/// A request's state, in a word.
pub fn state(request: &ShadowRequest) -> (Tone, Key) {
    match (request.state, grant_status(request)) {
        (RequestState::New, _) => (Tone::Idle, Key::StateNew),
        (RequestState::InReview, _) => (Tone::Building, Key::StateInReview),
        (RequestState::Granted, Some(GrantStatus::Revoked)) => (Tone::Disabled, Key::StateRevoked),
        (RequestState::Granted, Some(GrantStatus::Ended)) => (Tone::Disabled, Key::StateEnded),
        (RequestState::Granted, _) => (Tone::Active, Key::StateGranted),
        (RequestState::Declined, _) => (Tone::Down, Key::StateDeclined),
        (RequestState::Withdrawn, _) => (Tone::Disabled, Key::StateWithdrawn),
    }
}

/// The three steps of a request's way.
pub fn steps(request: &ShadowRequest) -> Vec<Step> {
    let at = match request.state {
        RequestState::New => 0,
        RequestState::InReview => 1,
        _ => 2,
    };
    let (tone, word) = state(request);
    let last = if at == 2 { word } else { Key::StateDecision };
    [Key::StateNew, Key::StateInReview, last]
        .into_iter()
        .enumerate()
        .map(|(index, title)| Step {
            title,
            mark: match index.cmp(&at) {
                std::cmp::Ordering::Less => StepMark::Done,
                std::cmp::Ordering::Equal => StepMark::Now(tone),
                std::cmp::Ordering::Greater => StepMark::Next,
            },
        })
        .collect()
}

/// A time of the wire as a date in the reader's zone.
pub fn date(rfc3339: &str, zone: i64) -> String {
    format::parse_time(rfc3339).map_or_else(|| rfc3339.to_owned(), |at| format::date(at, zone))
}

/// How a request stands, in a sentence, for `reader`'s side.
pub fn sentence(request: &ShadowRequest, reader: Side, zone: i64) -> String {
    let at = |time: &str| date(time, zone);
    let decided = || {
        request
            .decided
            .as_ref()
            .map_or(&request.updated_at, |decided| &decided.at)
    };
    let grant = request.grant.as_ref();
    let (key, time) = match (request.state, grant_status(request)) {
        (RequestState::New, _) => (Key::StandingAsked, &request.created_at),
        (RequestState::InReview, _) if reader == Side::Customer && request.awaits == Some(Side::Customer) => {
            return t(Key::StandingQuestion).to_owned();
        }
        (RequestState::InReview, _) => (Key::StandingReview, &request.created_at),
        (RequestState::Declined, _) => (Key::StandingDeclined, decided()),
        (RequestState::Withdrawn, _) => (Key::StandingWithdrawn, decided()),
        (RequestState::Granted, Some(GrantStatus::Revoked)) => {
            let revoked = grant.and_then(|grant| grant.revoked.as_ref());
            (Key::GrantRevoked, revoked.map_or_else(decided, |revoked| &revoked.at))
        }
        (RequestState::Granted, force) => match (grant.and_then(|grant| grant.until.as_ref()), force) {
            (Some(until), Some(GrantStatus::Ended)) => (Key::GrantEnded, until),
            (Some(until), _) => (Key::GrantUntil, until),
            (None, _) => return t(Key::GrantOpen).to_owned(),
        },
    };
    tp(key, &[("date", &at(time))])
}

/// What happens next, for `reader`'s side.
pub fn next(request: &ShadowRequest, reader: Side) -> Key {
    match reader {
        Side::Customer => next_for_customer(request),
        Side::Support => next_for_support(request),
    }
}

fn next_for_customer(request: &ShadowRequest) -> Key {
    match (request.state, grant_status(request)) {
        (RequestState::New, _) => Key::NextNew,
        (RequestState::InReview, _) if request.awaits == Some(Side::Customer) => Key::NextAnswer,
        (RequestState::InReview, _) => Key::NextInReview,
        (RequestState::Granted, Some(GrantStatus::Revoked | GrantStatus::Ended)) => Key::NextNoGrant,
        (RequestState::Granted, _) => Key::NextGranted,
        (RequestState::Declined, _) => Key::NextDeclined,
        (RequestState::Withdrawn, _) => Key::NextWithdrawn,
    }
}

fn next_for_support(request: &ShadowRequest) -> Key {
    match (request.state, grant_status(request)) {
        (RequestState::New, _) => Key::NextTake,
        (RequestState::InReview, _) if request.awaits == Some(Side::Customer) => Key::NextCustomer,
        (RequestState::InReview, _) => Key::NextDecide,
        (RequestState::Granted, Some(GrantStatus::Holds)) => Key::NextSupportGranted,
        _ => Key::NextSupportClosed,
    }
}

/// The request that says where the project stands: the one that gives the grant, else the one that is
/// open, else the newest.
pub fn telling(page: &ShadowportPage) -> Option<&ShadowRequest> {
    let granting = || {
        page.items
            .iter()
            .find(|request| grant_status(request) == Some(GrantStatus::Holds))
    };
    let open = || page.items.iter().find(|request| request.state.open());
    open().or_else(granting).or_else(|| page.items.first())
}

/// The message for the second of two who decide at once: who was first, and that nothing changed.
///
/// `zone` minutes east of UTC. `None` for any other refusal.
pub fn decided_meanwhile(code: &str, params: &[(String, String)], zone: i64) -> Option<String> {
    let param = |wanted: &str| {
        let found = params.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    if code != "request.decided" {
        return None;
    }
    let key = match param("state")? {
        "granted" => Key::AlreadyGranted,
        "declined" => Key::AlreadyDeclined,
        "withdrawn" => Key::AlreadyWithdrawn,
        "revoked" => Key::AlreadyRevoked,
        _ => return None,
    };
    let at = param("at")?;
    let at = format::parse_time(at).map_or_else(|| at.to_owned(), |at| format::clock(at, zone)[..5].to_owned());
    Some(tp(key, &[("by", param("by")?), ("at", &at)]))
}

/// The same, made from the request as it is now: for a dialog that was open when somebody else decided.
pub fn decided_by_now(request: &ShadowRequest, zone: i64) -> Option<String> {
    let revoked = request.grant.as_ref().and_then(|grant| grant.revoked.as_ref());
    let (word, decision) = match revoked {
        Some(revoked) => ("revoked", revoked),
        None => (request.state.word(), request.decided.as_ref()?),
    };
    let by = decision.by.clone().unwrap_or_else(|| t(Key::BySupport).to_owned());
    let params = [("state", word), ("by", by.as_str()), ("at", decision.at.as_str())];
    let params: Vec<(String, String)> = params.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    decided_meanwhile("request.decided", &params, zone)
}

#[cfg(test)]
pub(crate) mod tests {
    use portolan_shared::v1::{Decision, Grant, Ref};

    use super::*;

    const ID: &str = "01930000-0000-7000-8000-000000000001";

    /// A new request for tests.
    pub(crate) fn request(state: RequestState) -> ShadowRequest {
        ShadowRequest {
            id: ID.parse().unwrap(),
            project: Ref {
                id: ID.parse().unwrap(),
                name: "demo".into(),
            },
            state,
            purpose: "nightly batch jobs".into(),
            nodes: 12,
            network: None,
            asked_by: "demo".into(),
            created_at: "2026-11-20T10:00:00Z".into(),
            updated_at: "2026-11-20T10:00:00Z".into(),
            quotes: None,
            awaits: None,
            taken_by: None,
            decided: None,
            grant: None,
            thread: vec![],
            last_message: None,
        }
    }

    fn decision(at: &str) -> Decision {
        Decision {
            by: Some("sup".into()),
            at: at.into(),
            message: None,
        }
    }

    /// A granted one.
    pub(crate) fn granted(until: Option<&str>, revoked: bool, active: bool) -> ShadowRequest {
        ShadowRequest {
            decided: Some(decision("2026-11-20T12:05:00Z")),
            grant: Some(Grant {
                until: until.map(str::to_owned),
                revoked: revoked.then(|| decision("2026-11-21T09:30:00Z")),
                active,
            }),
            ..request(RequestState::Granted)
        }
    }

    #[test]
    fn a_grant_holds_until_its_date_or_until_it_is_revoked() {
        let sentence = |request: &ShadowRequest, zone| sentence(request, Side::Customer, zone);
        assert_eq!(sentence(&granted(None, false, true), 0), "Granted until it is revoked.");
        let until = Some("2026-12-31T23:59:59Z");
        assert_eq!(
            sentence(&granted(until, false, true), 0),
            "Granted until 31 Dec 2026, 23:59."
        );
        assert_eq!(
            sentence(&granted(until, false, false), 0),
            "The grant ended 31 Dec 2026, 23:59."
        );
        assert_eq!(
            sentence(&granted(None, true, false), 0),
            "The grant was revoked 21 Nov 2026, 09:30."
        );
        assert_eq!(state(&granted(None, true, false)).1, Key::StateRevoked);
        assert_eq!(state(&granted(until, false, false)).1, Key::StateEnded);
        assert_eq!(next(&granted(None, true, false), Side::Customer), Key::NextNoGrant);
    }

    #[test]
    fn a_question_waits_for_the_customer_on_both_sides() {
        let asked = ShadowRequest {
            awaits: Some(Side::Customer),
            ..request(RequestState::InReview)
        };
        assert_eq!(next(&asked, Side::Customer), Key::NextAnswer);
        assert_eq!(next(&asked, Side::Support), Key::NextCustomer);
        assert_eq!(next(&request(RequestState::New), Side::Support), Key::NextTake);
        assert_eq!(sentence(&asked, Side::Customer, 0), "Support has asked you something.");
        assert!(sentence(&asked, Side::Support, 0).contains("being looked at"));
    }

    #[test]
    fn the_bar_shows_how_far_it_is_and_names_the_decision_once_there_is_one() {
        let titles = |request| steps(&request).into_iter().map(|step| step.title).collect::<Vec<_>>();
        assert_eq!(
            titles(request(RequestState::New)),
            [Key::StateNew, Key::StateInReview, Key::StateDecision]
        );
        assert_eq!(titles(request(RequestState::Declined))[2], Key::StateDeclined);
        let marks: Vec<_> = steps(&request(RequestState::InReview))
            .into_iter()
            .map(|step| step.mark)
            .collect();
        assert_eq!(marks, [StepMark::Done, StepMark::Now(Tone::Building), StepMark::Next]);
    }

    #[test]
    fn where_a_project_stands_is_told_by_what_is_open_then_by_the_grant() {
        let page = |items| ShadowportPage {
            revision: 1,
            granted: false,
            open: None,
            items,
        };
        let told = |items| telling(&page(items)).map(|request| request.state);
        assert_eq!(told(vec![]), None);
        assert_eq!(
            told(vec![request(RequestState::Declined), granted(None, false, true)]),
            Some(RequestState::Granted)
        );
        assert_eq!(
            told(vec![request(RequestState::New), granted(None, false, true)]),
            Some(RequestState::New)
        );
        assert_eq!(
            told(vec![request(RequestState::Withdrawn), granted(None, true, false)]),
            Some(RequestState::Withdrawn)
        );
    }

    #[test]
    fn the_second_of_two_is_told_who_was_first_and_when() {
        let params = |state: &str| {
            [("state", state), ("by", "anna"), ("at", "2026-11-20T12:05:31Z")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        assert_eq!(
            decided_meanwhile("request.decided", &params("granted"), 0).as_deref(),
            Some("Already granted by anna at 12:05. Nothing was changed.")
        );
        assert!(
            decided_meanwhile("request.decided", &params("declined"), 180)
                .unwrap()
                .contains("15:05")
        );
        assert_eq!(decided_meanwhile("request.decided", &params("lost"), 0), None);
        assert_eq!(decided_meanwhile("request.open", &params("granted"), 0), None);
        assert_eq!(
            decided_by_now(&granted(None, false, true), 0).as_deref(),
            Some("Already granted by sup at 12:05. Nothing was changed.")
        );
        assert_eq!(decided_by_now(&request(RequestState::New), 0), None);
    }
}
