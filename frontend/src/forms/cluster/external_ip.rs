//! With an external IP, or without one: which a cluster can be, and why not the other.

use portolan_shared::v1::{Decision, NetworkRow, RequestState, ShadowportPage};

/// How the project stands with clusters that have no external IP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GrantState {
    /// Never asked, or taken back.
    #[default]
    NotAsked,
    /// Asked then, and not decided yet.
    Pending(String),
    /// Not granted, with what support said.
    Declined(String),
    /// Granted once and revoked, with what support said; or the time is over.
    Over(String),
    /// Granted.
    Granted,
}

impl GrantState {
    /// From the project's requests, newest first.
    pub fn of(page: &ShadowportPage) -> Self {
        if page.granted {
            return Self::Granted;
        }
        let open = |id| page.items.iter().find(|request| Some(request.id) == id);
        if let Some(request) = open(page.open) {
            return Self::Pending(request.created_at.clone());
        }
        let Some(newest) = page.items.first() else {
            return Self::NotAsked;
        };
        let said = |decision: Option<&Decision>| {
            decision
                .and_then(|decision| decision.message.clone())
                .unwrap_or_default()
        };
        match newest.state {
            RequestState::Declined => Self::Declined(said(newest.decided.as_ref())),
            RequestState::Granted => Self::Over(said(newest.grant.as_ref().and_then(|grant| grant.revoked.as_ref()))),
            RequestState::New | RequestState::InReview => Self::Pending(newest.created_at.clone()),
            RequestState::Withdrawn => Self::NotAsked,
        }
    }
}

/// Why a cluster cannot be with, or without, an external IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barred {
    /// The network of this name has no internet access.
    NoInternet(String),
    /// The network of this name has no access to provider services.
    NoServices(String),
    /// The project has no grant, and stands so.
    NotGranted(GrantState),
}

/// Which of the two there can be; `None`: it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIpOptions {
    /// Why not with an external IP.
    pub with: Option<Barred>,
    /// Why not without.
    pub without: Option<Barred>,
}

impl ExternalIpOptions {
    /// In `network`, or in a private one.
    pub fn of(network: Option<&NetworkRow>, grant: &GrantState) -> Self {
        let Some(network) = network else {
            return Self {
                with: None,
                without: (*grant != GrantState::Granted).then(|| Barred::NotGranted(grant.clone())),
            };
        };
        let name = || network.name.clone();
        let without = match (network.shadow_port, network.internet) {
            (true, _) => None,
            // With internet access it never gets the other; else it may yet, if the project may.
            (false, false) if *grant != GrantState::Granted => Some(Barred::NotGranted(grant.clone())),
            (false, _) => Some(Barred::NoServices(name())),
        };
        Self {
            with: (!network.internet).then(|| Barred::NoInternet(name())),
            without,
        }
    }

    /// Whether there is an external IP: as chosen where that can be, else as it must be.
    pub fn settle(&self, chosen: Option<bool>) -> bool {
        match (&self.with, &self.without) {
            (None, None) => chosen.unwrap_or(true),
            (Some(_), None) => false,
            _ => true,
        }
    }

    /// Neither can be: the network leads nowhere.
    pub fn none(&self) -> bool {
        self.with.is_some() && self.without.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::network;
    use super::*;

    const DECLINED: &str = r#"{"id":"01930000-0000-7000-8000-000000000009","project":{"id":"00000000000070008000000000000001",
        "name":"demo"},"state":"declined","purpose":"for the shop","nodes":3,"network":null,"asked_by":"demo",
        "created_at":"2026-11-20T12:00:00Z","updated_at":"2026-11-20T12:00:00Z","quotes":null,"awaits":null,
        "decided":{"at":"2026-11-20T13:00:00Z","message":"Not for tests."},"grant":null,"thread":[],"last_message":null}"#;

    fn page(state: RequestState, open: bool, granted: bool) -> ShadowportPage {
        let mut request: portolan_shared::v1::ShadowRequest = serde_json::from_str(DECLINED).unwrap();
        request.state = state;
        ShadowportPage {
            revision: 1,
            granted,
            open: open.then_some(request.id),
            items: vec![request],
        }
    }

    #[test]
    fn the_newest_request_says_how_the_project_stands() {
        assert_eq!(
            GrantState::of(&page(RequestState::Declined, false, false)),
            GrantState::Declined("Not for tests.".into())
        );
        assert_eq!(
            GrantState::of(&page(RequestState::New, true, false)),
            GrantState::Pending("2026-11-20T12:00:00Z".into())
        );
        assert_eq!(
            GrantState::of(&page(RequestState::Withdrawn, false, false)),
            GrantState::NotAsked
        );
        assert_eq!(
            GrantState::of(&page(RequestState::Granted, false, true)),
            GrantState::Granted
        );
        assert_eq!(
            GrantState::of(&page(RequestState::Granted, false, false)),
            GrantState::Over(String::new()),
            "granted once, not any more"
        );
    }

    #[test]
    fn a_private_network_needs_a_grant_to_be_without() {
        let options = ExternalIpOptions::of(None, &GrantState::NotAsked);
        assert_eq!(options.without, Some(Barred::NotGranted(GrantState::NotAsked)));
        assert!(options.settle(Some(false)), "what cannot be is not chosen");
        let options = ExternalIpOptions::of(None, &GrantState::Granted);
        assert_eq!((options.settle(None), options.settle(Some(false))), (true, false));
    }

    #[test]
    fn a_network_of_ones_own_decides_by_where_it_leads() {
        let settled = |internet, services| {
            let options = ExternalIpOptions::of(Some(&network(internet, services)), &GrantState::Granted);
            (options.none(), options.settle(Some(true)), options.settle(Some(false)))
        };
        assert_eq!(settled(true, false), (false, true, true));
        assert_eq!(settled(false, true), (false, false, false));
        assert!(settled(false, false).0);
    }
}
