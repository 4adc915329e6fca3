//! What others have in the host's kernel: read for telling, never written.

use std::collections::BTreeMap;

use portolan_plan::{Foreign, ForeignRoute, MAIN_TABLE, ROUTE_PROTOCOL, RouteKey};
use portolan_shared::addr::{Cidr, Family};

use super::decode::{self, RawRoute};
use super::host::no_such_family;
use super::{KernelError, Netlink, messages};

/// Foreign routes inside of the pod ranges that are looked at, at most: of each only a reason is made.
const MOST_ROUTES: usize = 10_000;

impl Netlink {
    /// Routes of others inside of the ranges, and chains that drop what is forwarded.
    pub(super) fn read_foreign(&self, ranges: &[Cidr]) -> Result<Foreign, KernelError> {
        let mut routes = Vec::new();
        for family in [Family::V4, Family::V6] {
            if ranges.iter().any(|range| range.family() == family) {
                routes.extend(self.foreign_routes(family, ranges)?);
            }
        }
        let names: BTreeMap<u32, String> = match routes.as_slice() {
            [] => BTreeMap::new(),
            _ => self
                .links()?
                .into_iter()
                .map(|(name, link)| (link.index, name))
                .collect(),
        };
        Ok(Foreign {
            routes: routes.iter().take(MOST_ROUTES).map(|raw| told(raw, &names)).collect(),
            drops: self.filter.drops(&self.sockets, ranges)?,
        })
    }

    fn foreign_routes(&self, family: Family, ranges: &[Cidr]) -> Result<Vec<RawRoute>, KernelError> {
        let inside = |raw: &RawRoute| {
            let within = |range: &Cidr| range.contains(raw.prefix.first()) && range.prefix() <= raw.prefix.prefix();
            raw.protocol != ROUTE_PROTOCOL && ranges.iter().any(within)
        };
        Ok(self.table(family, MAIN_TABLE)?.into_iter().filter(inside).collect())
    }

    /// The routes of a table, whosever they are.
    pub(super) fn table(&self, family: Family, table: u32) -> Result<Vec<RawRoute>, KernelError> {
        let dump = self
            .sockets
            .with(|socket| socket.dump(&messages::dump_table(family, table)));
        let replies = match dump {
            Ok(replies) => replies,
            // No table yet, or no such family.
            Err(error) if error.is_absent() || no_such_family(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let routes = replies.iter().filter_map(|reply| decode::route(&reply.payload));
        Ok(routes.filter(|raw| raw.table == table).collect())
    }
}

fn told(raw: &RawRoute, names: &BTreeMap<u32, String>) -> ForeignRoute {
    let link = raw.link.and_then(|index| names.get(&index));
    let towards = match (raw.gateway, link) {
        (Some(gateway), _) => format!("via {gateway}"),
        (None, Some(name)) => format!("dev {name}"),
        (None, None) => "by another way".to_owned(),
    };
    ForeignRoute {
        key: RouteKey {
            table: raw.table,
            prefix: raw.prefix,
            metric: raw.metric,
            tos: raw.tos,
        },
        protocol: raw.protocol,
        towards,
    }
}
