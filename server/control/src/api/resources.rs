//! All resources of the Networking API, with what the console reads of them: the one list.

pub mod address_scopes;

use super::v2::networks::Networks;
use super::v2::ports::Ports;
use super::v2::resource::Listing;
use super::v2::subnets::Subnets;
use address_scopes::AddressScopes;

/// In the order of the description.
pub const RESOURCES: &[Listing] = &[
    Listing::of::<Networks>(),
    Listing::of::<Subnets>(),
    Listing::of::<Ports>(),
    Listing::of::<AddressScopes>(),
];
