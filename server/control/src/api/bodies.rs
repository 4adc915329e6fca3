//! One refusal, three bodies: Neutron's, Keystone's and problem+json.
//!
//! [`NEUTRON`] says which status and Neutron type each code has; where Neutron's status differs from the class of the
//! refusal, Neutron's holds on `/v2.0` and the class elsewhere.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::Problem;
use serde::Serialize;

use super::error::{Failure, class_status};
use super::resources::RESOURCES;

/// Whose body an error has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `/v2.0`.
    Networking,
    /// `/v3`.
    Identity,
    /// Everything else.
    Portolan,
}

impl Shape {
    /// By the path of the request.
    pub fn of(path: &str) -> Self {
        let under = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if under("/v2.0") {
            Self::Networking
        } else if under("/v3") {
            Self::Identity
        } else {
            Self::Portolan
        }
    }
}

/// Code, Neutron's status and Neutron's type of every refusal.
pub const NEUTRON: &[(&str, u16, &str)] = &[
    ("body.malformed", 400, "MalformedRequestBody"),
    ("body.unknown_attribute", 400, "HTTPBadRequest"),
    ("body.read_only", 400, "HTTPBadRequest"),
    ("value.wrong_type", 400, "HTTPBadRequest"),
    ("value.required", 400, "HTTPBadRequest"),
    ("value.too_long", 400, "HTTPBadRequest"),
    ("value.too_short", 400, "HTTPBadRequest"),
    ("value.too_many", 400, "HTTPBadRequest"),
    ("value.control_character", 400, "HTTPBadRequest"),
    ("value.out_of_range", 400, "HTTPBadRequest"),
    ("value.not_an_id", 400, "HTTPBadRequest"),
    ("value.not_an_address", 400, "HTTPBadRequest"),
    ("value.not_a_cidr", 400, "HTTPBadRequest"),
    ("value.host_bits", 400, "HTTPBadRequest"),
    ("value.not_a_mac", 400, "HTTPBadRequest"),
    ("value.not_a_label", 400, "HTTPBadRequest"),
    ("value.not_a_dns_name", 400, "HTTPBadRequest"),
    ("value.not_one_of", 400, "HTTPBadRequest"),
    ("value.not_a_time", 400, "HTTPBadRequest"),
    ("value.in_the_past", 400, "HTTPBadRequest"),
    ("subnet.family", 400, "InvalidInput"),
    ("subnet.not_usable", 400, "InvalidInput"),
    ("subnet.gateway_outside", 400, "InvalidInput"),
    ("subnet.gateway_reserved", 400, "InvalidInput"),
    ("subnet.gateway_in_pool", 409, "GatewayConflictWithAllocationPools"),
    ("subnet.pool_reversed", 400, "InvalidAllocationPool"),
    ("subnet.pool_outside", 400, "OutOfBoundsAllocationPool"),
    ("subnet.pools_overlap", 409, "OverlappingAllocationPools"),
    ("subnet.dns_duplicate", 400, "HTTPBadRequest"),
    ("subnet.route_hop_outside", 400, "InvalidInput"),
    ("subnet.route_to_itself", 400, "InvalidInput"),
    ("subnet.overlap", 400, "InvalidInput"),
    ("subnet.in_use", 409, "SubnetInUse"),
    ("subnet.owned", 409, "SubnetInUse"),
    ("network.in_use", 409, "NetworkInUse"),
    ("network.owned", 409, "NetworkInUse"),
    ("network.shadow_port_not_granted", 403, "Forbidden"),
    ("network.shadow_port_with_internet", 409, "Conflict"),
    ("network.shadow_port_stays", 409, "Conflict"),
    ("network.internet_with_shadow_port", 409, "Conflict"),
    ("network.no_room_for_shadow_port", 409, "IpAddressGenerationFailure"),
    ("network.internet_in_use", 409, "Conflict"),
    ("port.address_outside", 400, "InvalidIpForSubnet"),
    ("port.address_outside_network", 400, "InvalidIpForNetwork"),
    ("port.fixed_ip_empty", 400, "HTTPBadRequest"),
    ("port.address_twice", 400, "HTTPBadRequest"),
    ("port.subnet_elsewhere", 400, "InvalidInput"),
    ("port.address_taken", 409, "IpAddressAlreadyAllocated"),
    ("port.address_in_block", 409, "IpAddressAlreadyAllocated"),
    ("port.pod_range", 409, "IpAddressGenerationFailure"),
    ("port.exhausted", 409, "IpAddressGenerationFailure"),
    ("port.mac_taken", 409, "MacAddressInUse"),
    ("port.owned", 409, "ServicePortInUse"),
    ("port.always_on", 409, "Conflict"),
    ("port.device_owner_reserved", 403, "PolicyNotAuthorized"),
    ("quota.exceeded", 409, "OverQuota"),
    ("revision.mismatch", 412, "RevisionNumberConstraintFailed"),
    ("idempotency.other_body", 422, "IdempotencyKeyReused"),
    ("cluster.name_taken", 409, "Conflict"),
    ("cluster.ranges_overlap", 400, "InvalidInput"),
    ("node.name_taken", 409, "Conflict"),
    ("node.address_mismatch", 409, "Conflict"),
    ("node.outside_range", 409, "Conflict"),
    ("node.no_free_block", 409, "IpAddressGenerationFailure"),
    ("block.other_name", 400, "HTTPBadRequest"),
    ("node.outside_lease", 403, "Forbidden"),
    ("cluster.no_internet", 409, "Conflict"),
    ("cluster.no_services", 409, "Conflict"),
    ("cluster.no_external_network", 409, "Conflict"),
    ("cluster.external_exhausted", 409, "Conflict"),
    ("cluster.no_free_range", 409, "Conflict"),
    ("cluster.node_subnet", 409, "Conflict"),
    ("cluster.node_subnet_full", 409, "Conflict"),
    ("cluster.few_blocks", 400, "InvalidInput"),
    ("cluster.no_lab", 409, "Conflict"),
    ("request.open", 409, "Conflict"),
    ("request.granted_already", 409, "Conflict"),
    ("request.decided", 409, "Conflict"),
    ("request.not_granted", 409, "Conflict"),
    ("request.full", 409, "Conflict"),
    ("token.unknown", 403, "Forbidden"),
    ("token.spent", 403, "Forbidden"),
    ("token.expired", 403, "Forbidden"),
    ("node.removed", 403, "Forbidden"),
    ("node.copied", 409, "Conflict"),
    ("clock.behind", 503, "ServiceUnavailable"),
    ("agent.no_endpoint", 503, "ServiceUnavailable"),
    ("auth.required", 401, "HTTPUnauthorized"),
    ("auth.failed", 401, "HTTPUnauthorized"),
    ("auth.expired", 401, "HTTPUnauthorized"),
    ("auth.csrf", 403, "HTTPForbidden"),
    ("auth.forbidden", 403, "PolicyNotAuthorized"),
    ("auth.no_project", 403, "HTTPForbidden"),
    ("auth.busy", 503, "ServiceUnavailable"),
    ("not_found", 404, "HTTPNotFound"),
    ("name.taken", 409, "Conflict"),
    ("body.too_large", 413, "HTTPRequestEntityTooLarge"),
    ("in_use", 409, "InUse"),
    ("store.full", 503, "ServiceUnavailable"),
    ("store.unavailable", 503, "ServiceUnavailable"),
    ("store.unknown", 503, "ServiceUnavailable"),
];

/// Status and Neutron type of a refusal.
pub fn neutron(refusal: &Refusal) -> (StatusCode, &'static str) {
    let code = refusal.code();
    let Some(&(_, status, kind_in_table)) = NEUTRON.iter().find(|(known, ..)| *known == code) else {
        return (class_status(refusal.class()), "NeutronException");
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = match refusal {
        Refusal::NotFound { kind, .. } => {
            let resource = RESOURCES.iter().find(|known| known.word.eq_ignore_ascii_case(kind));
            resource.map_or(kind_in_table, |resource| resource.names.not_found)
        }
        _ => kind_in_table,
    };
    (status, kind)
}

/// Puts Neutron's words before ours where clients look for them in messages.
fn neutron_words(refusal: &Refusal, message: String) -> String {
    match refusal {
        // tempest tries another range when the message has these words.
        Refusal::Overlap { .. } => format!("The requested subnet overlaps with another subnet: {message}"),
        _ => message,
    }
}

#[derive(Serialize)]
struct NeutronBody<'a> {
    #[serde(rename = "NeutronError")]
    error: NeutronError<'a>,
}

#[derive(Serialize)]
struct NeutronError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    detail: String,
    #[serde(flatten)]
    more: More<'a>,
}

/// What errors carry beyond Neutron's and Keystone's own fields.
#[derive(Serialize)]
struct More<'a> {
    code: &'a str,
    #[serde(serialize_with = "as_map")]
    params: Vec<(&'static str, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    request_id: &'a str,
}

fn as_map<S: serde::Serializer>(params: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(params.iter().map(|(name, value)| (name, value)))
}

#[derive(Serialize)]
struct KeystoneBody<'a> {
    error: KeystoneError<'a>,
}

#[derive(Serialize)]
struct KeystoneError<'a> {
    code: u16,
    title: &'a str,
    message: &'a str,
}

impl Failure {
    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusals) => refusals.first(),
            _ => None,
        }
    }

    /// The sentence, the stable code and Neutron's type.
    fn words(&self) -> (String, &'static str, &'static str) {
        match self {
            Self::Refused(refusals) => match refusals.first() {
                Some(refusal) => (refusal.to_string(), refusal.code(), neutron(refusal).1),
                None => Self::Internal.words(),
            },
            Self::NoRoute => (
                "The resource could not be found.".to_owned(),
                "route.unknown",
                "HTTPNotFound",
            ),
            Self::Method => (
                "The method is not allowed for this resource.".to_owned(),
                "route.method",
                "HTTPMethodNotAllowed",
            ),
            Self::Internal => (
                "Something went wrong inside the server. Its log has more under this request's id.".to_owned(),
                "internal",
                "HTTPInternalServerError",
            ),
        }
    }

    /// What else is wrong, a line each.
    fn others(&self) -> String {
        match self {
            Self::Refused(refusals) => refusals
                .iter()
                .skip(1)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
            _ => String::new(),
        }
    }

    /// The response in a shape. `before` keeps its headers (such as `Allow`).
    pub fn write(&self, shape: Shape, request_id: &str, auth_url: &str, before: Response) -> Response {
        let (mut message, code, kind) = self.words();
        let mut status = self.status();
        let more = More {
            code,
            params: self.refusal().map(Refusal::params).unwrap_or_default(),
            field: self.refusal().and_then(Refusal::field),
            request_id,
        };
        // A missing or wrong token is answered by the Identity middleware, also in front of Neutron.
        let shape = match shape {
            Shape::Networking if status == StatusCode::UNAUTHORIZED => Shape::Identity,
            other => other,
        };
        let mut content_type = HeaderValue::from_static("application/json");
        let body = match shape {
            Shape::Networking => {
                if let Some(refusal) = self.refusal() {
                    status = neutron(refusal).0;
                    message = neutron_words(refusal, message);
                }
                let error = NeutronError {
                    kind,
                    message: &message,
                    detail: self.others(),
                    more,
                };
                serde_json::to_vec(&NeutronBody { error })
            }
            Shape::Identity => {
                let title = status.canonical_reason().unwrap_or("Error");
                let error = KeystoneError {
                    code: status.as_u16(),
                    title,
                    message: &message,
                };
                serde_json::to_vec(&KeystoneBody { error })
            }
            Shape::Portolan => {
                content_type = HeaderValue::from_static("application/problem+json");
                serde_json::to_vec(&Problem {
                    kind: "about:blank".to_owned(),
                    title: status.canonical_reason().unwrap_or("Error").to_owned(),
                    status: status.as_u16(),
                    detail: message,
                    code: code.to_owned(),
                    params: more
                        .params
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                    field: more.field,
                    request_id: request_id.to_owned(),
                })
            }
        };
        let (mut parts, _) = before.into_parts();
        parts.status = status;
        parts.headers.insert(header::CONTENT_TYPE, content_type);
        parts.headers.remove(header::CONTENT_LENGTH);
        if status == StatusCode::UNAUTHORIZED
            && shape == Shape::Identity
            && let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{auth_url}\""))
        {
            parts.headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            parts.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Response::from_parts(parts, body.unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_a_status_and_a_type_once() {
        let codes: HashSet<_> = Refusal::CODES.iter().copied().collect();
        let mapped: HashSet<_> = NEUTRON.iter().map(|(code, ..)| *code).collect();
        assert_eq!(mapped.len(), NEUTRON.len(), "a code is there twice");
        assert_eq!(
            codes.difference(&mapped).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "not in the table"
        );
        assert_eq!(
            mapped.difference(&codes).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "no refusal has this code"
        );
        assert!(
            NEUTRON
                .iter()
                .all(|(_, status, _)| (400..=503).contains(status) && *status != 500)
        );
    }

    #[test]
    fn not_found_is_named_as_neutron_names_it() {
        for (kind, expected) in [
            ("network", "NetworkNotFound"),
            ("Subnet", "SubnetNotFound"),
            ("port", "PortNotFound"),
            ("cluster", "HTTPNotFound"),
        ] {
            let refusal = Refusal::NotFound {
                kind: kind.into(),
                id: "x".into(),
            };
            assert_eq!(neutron(&refusal), (StatusCode::NOT_FOUND, expected));
        }
    }

    #[test]
    fn paths_have_shapes() {
        assert_eq!(Shape::of("/v2.0/ports"), Shape::Networking);
        assert_eq!(Shape::of("/v3"), Shape::Identity);
        assert_eq!(Shape::of("/v30"), Shape::Portolan);
        assert_eq!(Shape::of("/portolan/v1/session"), Shape::Portolan);
    }
}
