//! Address scopes.

subject! { address_scopes;
    AddressScopes: "Address scopes",
    CountAddressScopes: "{n} address scope|{n} address scopes",
    AddressScopesEmpty: "An address scope names ranges that must not overlap. Automation makes them, at /v2.0/address-scopes.",
    IpVersion: "IP version",
    SharedWith: "Seen by",
    SharedWithAll: "All projects",
    SharedWithOwn: "This project",
    SharedByOther: "Another project's",
    ObjectAddressScope: "Address scope",
}
