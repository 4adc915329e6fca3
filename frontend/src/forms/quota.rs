//! What a project may still make, before one tries.

use portolan_shared::v1::Quota;

use crate::i18n::{Key, format, tn, tnp, tp};

/// How many of a thing something makes, by the quota's name.
pub type Need = (&'static str, u64);

/// `47 of 50 networks`, or how many there are where there is no limit; `None` for a quota without words.
pub fn stands(quota: &Quota) -> Option<String> {
    let (limited, counted) = match quota.resource.as_str() {
        "network" => (Key::QuotaNetworks, Key::CountNetworks),
        "subnet" => (Key::QuotaSubnets, Key::CountSubnets),
        "port" => (Key::QuotaPorts, Key::CountPorts),
        "pod" => (Key::QuotaPods, Key::CountPods),
        "cluster" => (Key::QuotaClusters, Key::CountClusters),
        _ => return None,
    };
    Some(match quota.limit {
        Some(limit) => tnp(limited, limit, &[("used", &format::number(quota.used))]),
        None => tn(counted, quota.used),
    })
}

/// Why what is needed cannot be made, if a quota stands against it.
pub fn reached(quotas: &[Quota], needs: &[Need]) -> Option<String> {
    let full = |quota: &&Quota| {
        let need = needs.iter().find(|(resource, _)| *resource == quota.resource);
        need.is_some_and(|(_, count)| {
            quota
                .limit
                .is_some_and(|limit| quota.used.saturating_add(*count) > limit)
        })
    };
    let quota = quotas.iter().find(full)?;
    Some(tp(Key::QuotaReached, &[("quota", &stands(quota)?)]))
}

/// A line for each thing that is needed: how the quota stands, and what is left afterwards.
pub fn lines(quotas: &[Quota], needs: &[Need]) -> Vec<String> {
    needs
        .iter()
        .filter_map(|(resource, count)| {
            let quota = quotas.iter().find(|quota| quota.resource == *resource)?;
            let now = stands(quota)?;
            Some(match quota.limit {
                Some(limit) => match limit.checked_sub(quota.used.saturating_add(*count)) {
                    Some(left) => tp(Key::QuotaLeft, &[("quota", &now), ("left", &format::number(left))]),
                    None => tp(Key::QuotaTooFew, &[("quota", &now), ("need", &format::number(*count))]),
                },
                None => tp(Key::QuotaNone, &[("quota", &now)]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(resource: &str, used: u64, limit: Option<u64>) -> Quota {
        Quota {
            resource: resource.into(),
            used,
            limit,
        }
    }

    #[test]
    fn a_quota_is_said_as_used_of_limit() {
        assert_eq!(
            stands(&quota("network", 47, Some(50))).as_deref(),
            Some("47 of 50 networks")
        );
        assert_eq!(stands(&quota("network", 1, None)).as_deref(), Some("1 network"));
        assert_eq!(stands(&quota("moon", 1, None)), None);
    }

    #[test]
    fn at_the_limit_it_says_which_one() {
        let quotas = [quota("cluster", 1, Some(9)), quota("subnet", 99, Some(100))];
        assert_eq!(reached(&quotas, &[("cluster", 1), ("subnet", 1)]), None);
        let said = reached(&quotas, &[("cluster", 1), ("subnet", 2)]).unwrap();
        assert!(said.contains("99 of 100 subnets"), "{said}");
        assert_eq!(reached(&[], &[("cluster", 1)]), None, "nothing is known");
    }

    #[test]
    fn what_is_left_is_told_for_each_thing_that_is_made() {
        let quotas = [
            quota("network", 47, Some(50)),
            quota("subnet", 99, Some(100)),
            quota("cluster", 2, None),
        ];
        assert_eq!(
            lines(&quotas, &[("network", 1), ("subnet", 2), ("cluster", 1), ("moon", 1)]),
            [
                "47 of 50 networks, 2 left after this",
                "99 of 100 subnets, 2 needed",
                "2 clusters, no limit"
            ]
        );
    }
}
