//! Ports of the console's screens: by address, in pages, filtered by words and `key:value`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{OriginalUri, Query};
use axum::http::{StatusCode, Uri};
use portolan_core::model::port_kind;
use portolan_core::model::{Port, Subnet};
use portolan_core::view::{PortScope, View};
use portolan_shared::check::shortened;
use portolan_shared::ids::{NetworkId, PortId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::status::chain;
use portolan_shared::v1::{List, One, PortRow, WhyStep};

use super::find;
use super::rows::PortFacts;
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::reply;
use crate::api::status::reason;

/// Ports of a page when nothing is said.
const LIMIT: usize = 1_000;
/// Most ports of a page.
const LIMIT_MAX: usize = 10_000;
/// Most words of a filter.
const TERMS_MAX: usize = 16;
/// Ports looked at under one lock.
const PIECE: usize = 4_096;

/// A port's place in the list: by subnet and address, those without an address last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Address(usize, IpAddr),
    Bare(PortId),
}

/// The ports of some subnets, in their order, and those of a network that have no address.
struct Walk {
    subnets: Vec<Arc<Subnet>>,
    network: Option<NetworkId>,
}

impl Walk {
    fn index(&self, subnet: SubnetId) -> Option<usize> {
        self.subnets.iter().position(|known| known.id == subnet)
    }

    /// Where a port is in the list: at the first of its addresses.
    fn place(&self, port: &Port) -> Option<Place> {
        let addresses = port.fixed_ips.iter();
        addresses
            .filter_map(|ip| Some(Place::Address(self.index(ip.subnet)?, ip.address)))
            .min()
    }

    /// The next ports after a place, and the place to continue from; `None` at the end.
    fn piece(&self, view: &View, after: Option<Place>) -> (Vec<(Place, Arc<Port>)>, Option<Place>) {
        let mut found = Vec::new();
        let mut looked = 0;
        let (from, mut address) = match after {
            None => (0, None),
            Some(Place::Address(index, address)) => (index, Some(address)),
            Some(Place::Bare(_)) => (self.subnets.len(), None),
        };
        for (index, subnet) in self.subnets.iter().enumerate().skip(from) {
            for (at, port) in view.ports_by_address(subnet.id, address.take()) {
                let place = Place::Address(index, at);
                if self.place(port) == Some(place) {
                    found.push((place, Arc::clone(port)));
                }
                looked += 1;
                if looked == PIECE {
                    return (found, Some(place));
                }
            }
        }
        let Some(network) = self.network else {
            return (found, None);
        };
        let after = match after {
            Some(Place::Bare(id)) => Some(id),
            _ => None,
        };
        for port in view.ports(PortScope::Network(network), after) {
            if port.fixed_ips.is_empty() {
                found.push((Place::Bare(port.id), Arc::clone(port)));
            }
            looked += 1;
            if looked >= PIECE {
                return (found, Some(Place::Bare(port.id)));
            }
        }
        (found, None)
    }

    /// A place as a marker: opaque to clients.
    fn text(&self, place: Place) -> String {
        match place {
            Place::Address(index, address) => match self.subnets.get(index) {
                Some(subnet) => format!("{}@{address}", subnet.id),
                None => String::new(),
            },
            Place::Bare(id) => id.to_string(),
        }
    }

    fn read(&self, text: &str) -> Option<Place> {
        match text.split_once('@') {
            Some((subnet, address)) => Some(Place::Address(self.index(subnet.parse().ok()?)?, address.parse().ok()?)),
            None => text.parse().ok().map(Place::Bare),
        }
    }
}

/// One condition of a filter, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Anywhere(String),
    Status(String),
    Kind(String),
    Node(String),
    Ip(String),
    Name(String),
}

fn terms(text: &str) -> Vec<Term> {
    let term = |word: &str| {
        let word = word.to_lowercase();
        match word.split_once(':') {
            Some(("status", value)) => Term::Status(value.to_owned()),
            Some(("kind", value)) => Term::Kind(value.to_owned()),
            Some(("node", value)) => Term::Node(value.to_owned()),
            Some(("ip", value)) => Term::Ip(value.to_owned()),
            Some(("name", value)) => Term::Name(value.to_owned()),
            // People paste addresses with colons.
            _ => Term::Anywhere(word),
        }
    };
    text.split_whitespace().map(term).collect()
}

fn json_word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_default()
        .trim_matches('"')
        .to_lowercase()
}

impl Term {
    fn fits(&self, facts: &PortFacts, port: &Port) -> bool {
        let has = |text: &str, part: &str| text.to_lowercase().contains(part);
        let name = |part: &str| {
            has(&port.name, part)
                || port
                    .pod
                    .as_ref()
                    .is_some_and(|pod| has(&format!("{}/{}", pod.namespace, pod.name), part))
        };
        let ip = |part: &str| port.fixed_ips.iter().any(|ip| ip.address.to_string().contains(part));
        match self {
            Self::Status(part) => json_word(&facts.nodes.status(port).0).contains(part),
            Self::Kind(part) => json_word(&port_kind(port)).contains(part),
            Self::Node(part) => has(facts.nodes.host(port), part),
            Self::Ip(part) => match part.parse::<portolan_shared::addr::Cidr>() {
                Ok(cidr) => port.fixed_ips.iter().any(|ip| cidr.contains(ip.address)),
                Err(_) => ip(part),
            },
            Self::Name(part) => name(part),
            Self::Anywhere(part) => {
                name(part)
                    || ip(part)
                    || has(&port.description, part)
                    || has(&port.device_id, part)
                    || has(facts.nodes.host(port), part)
                    || port.mac.to_string().contains(part)
                    || port.id.to_string() == *part
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Asked {
    limit: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    filter: String,
}

fn asked(uri: &Uri) -> Result<(usize, Asked), Refusal> {
    let query = Query::<Asked>::try_from_uri(uri);
    let Query(asked) = query.map_err(|_| Refusal::Malformed {
        detail: "its query is no query".to_owned(),
    })?;
    let limit = match &asked.limit {
        None => LIMIT,
        Some(text) => text.parse().map_err(|_| Refusal::WrongType {
            field: "limit".to_owned(),
            expected: "a whole number".to_owned(),
        })?,
    };
    if asked.filter.len() > 1_024 {
        return Err(Refusal::TooLong {
            field: "filter".to_owned(),
            max: 1_024,
            length: asked.filter.len(),
        });
    }
    Ok((limit.clamp(1, LIMIT_MAX), asked))
}

/// Walks the list; answers the page.
async fn page(call: Call, uri: &Uri, walk: Walk, total: u64) -> Answer {
    let (limit, asked) = asked(uri)?;
    let terms = terms(&asked.filter);
    if terms.len() > TERMS_MAX {
        return Err(Refusal::TooMany {
            field: "filter".to_owned(),
            max: TERMS_MAX,
            count: terms.len(),
        }
        .into());
    }
    let marker = match &asked.marker {
        None => None,
        Some(text) => Some(walk.read(text).ok_or_else(|| Refusal::NotAnId {
            field: "marker".to_owned(),
            given: shortened(text),
        })?),
    };
    let everything = !terms.is_empty();
    let mut after = if everything { None } else { marker };
    let (mut matching, mut chosen, mut next) = (0_u64, Vec::new(), None);
    let revision = call.control().read(View::head);
    'walk: loop {
        let (piece, facts, rest) = call.control().read(|view| {
            let (piece, rest) = walk.piece(view, after);
            let facts = everything.then(|| PortFacts::of(view, piece.iter().map(|(_, port)| port)));
            (piece, facts, rest)
        });
        for (place, port) in piece {
            if !call.reads(&*port) {
                continue;
            }
            if facts
                .as_ref()
                .is_some_and(|facts| !terms.iter().all(|term| term.fits(facts, &port)))
            {
                continue;
            }
            matching += 1;
            if marker.is_some_and(|marker| place <= marker) {
                continue;
            }
            if chosen.len() < limit {
                chosen.push((place, port));
            } else {
                next = next.or_else(|| chosen.last().map(|(place, _)| walk.text(*place)));
                if !everything {
                    break 'walk;
                }
            }
        }
        match rest {
            Some(place) => after = Some(place),
            None => break,
        }
        tokio::task::yield_now().await;
    }
    let facts = call
        .control()
        .read(|view| PortFacts::of(view, chosen.iter().map(|(_, port)| port)));
    let total = if everything { matching } else { total };
    let text = reply::heavy(&call.caller.api.workers, chosen.len(), move || {
        let items: Vec<PortRow> = chosen.iter().map(|(_, port)| facts.row(port)).collect();
        reply::write(&List {
            revision,
            total,
            items,
            next,
        })
    });
    Ok(reply::bytes(StatusCode::OK, text.await?))
}

/// How many ports of a scope the caller sees.
fn count(call: &Call, view: &View, scope: PortScope) -> u64 {
    let hidden = match call.rights.sees_everything() {
        true => 0,
        false => view.hidden_count(scope),
    };
    view.port_count(scope) - hidden
}

/// `GET …/subnets/{id}/ports`.
pub async fn of_subnet(call: Call, path: Segments, OriginalUri(uri): OriginalUri) -> Answer {
    let (subnet, total) = call.control().read(|view| {
        let subnet = find::subnet(&call, view, &path)?;
        let total = count(&call, view, PortScope::Subnet(subnet.id));
        Ok::<_, Failure>((subnet, total))
    })?;
    page(
        call,
        &uri,
        Walk {
            subnets: vec![subnet],
            network: None,
        },
        total,
    )
    .await
}

/// `GET …/networks/{id}/ports`.
pub async fn of_network(call: Call, path: Segments, OriginalUri(uri): OriginalUri) -> Answer {
    let (walk, total) = call.control().read(|view| {
        let network = find::network(&call, view, &path)?;
        let mut subnets: Vec<Arc<Subnet>> = view.subnets_of(network.id).cloned().collect();
        subnets.sort_by_key(|subnet| (subnet.cidr.family(), subnet.cidr));
        let total = count(&call, view, PortScope::Network(network.id));
        Ok::<_, Failure>((
            Walk {
                subnets,
                network: Some(network.id),
            },
            total,
        ))
    })?;
    page(call, &uri, walk, total).await
}

fn one(call: &Call, path: &Segments) -> Result<(u64, Arc<Port>, PortFacts), Failure> {
    call.control().read(|view| {
        let port = find::port(call, view, path)?;
        let facts = PortFacts::of(view, [&port]);
        Ok((view.head(), port, facts))
    })
}

/// `GET …/ports/{id}`.
pub async fn show(call: Call, path: Segments) -> Answer {
    let (revision, port, facts) = one(&call, &path)?;
    reply::ok(&One {
        revision,
        item: facts.row(&port),
    })
}

/// `GET …/ports/{id}/why`: the chain that must hold, step by step.
pub async fn why(call: Call, path: Segments) -> Answer {
    let (revision, port, facts) = one(&call, &path)?;
    let steps = chain(&facts.nodes.facts(&port)).into_iter();
    let item: Vec<WhyStep> = steps
        .map(|(step, state, cause)| WhyStep {
            step,
            state,
            reason: cause.as_ref().map(reason),
        })
        .collect();
    reply::ok(&One { revision, item })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_words_and_keys() {
        assert_eq!(
            terms("Web status:DOWN fd00::5 nonsense:x"),
            [
                Term::Anywhere("web".into()),
                Term::Status("down".into()),
                Term::Anywhere("fd00::5".into()),
                Term::Anywhere("nonsense:x".into())
            ]
        );
        assert_eq!(
            json_word(&portolan_shared::v1::PortKind::ClusterAddress),
            "cluster_address"
        );
    }

    #[test]
    fn limits_are_kept_in_bounds() {
        let limit = |query: &str| asked(&format!("/x?{query}").parse().unwrap()).map(|(limit, _)| limit);
        assert_eq!(limit(""), Ok(LIMIT));
        assert_eq!(limit("limit=99999999"), Ok(LIMIT_MAX));
        assert_eq!(limit("limit=0"), Ok(1));
        assert!(limit("limit=-1").is_err() && limit("limit=x").is_err());
    }
}
