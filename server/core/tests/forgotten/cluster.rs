// It forgets which cluster it belongs to.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project audience audited counted unique_name bytes label fields event);
}
