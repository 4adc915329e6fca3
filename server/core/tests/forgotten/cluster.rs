// It forgets which cluster it belongs to.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS project audience audited counted unique_name bytes);
}
