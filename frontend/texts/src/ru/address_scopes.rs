//! Области адресов.

subject! { address_scopes;
    AddressScopes: "Области адресов",
    CountAddressScopes: "{n} область адресов|{n} области адресов|{n} областей адресов",
    AddressScopesEmpty: "Область адресов объединяет диапазоны, которые не должны пересекаться. Области создаёт автоматика: /v2.0/address-scopes.",
    IpVersion: "Версия IP",
    SharedWith: "Кому видна",
    SharedWithAll: "Всем проектам",
    SharedWithOwn: "Этому проекту",
    SharedByOther: "Другого проекта",
    ObjectAddressScope: "Область адресов",
}
