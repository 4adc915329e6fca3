// It forgets how long it is.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS FOR_AGENTS id project cluster audience audited counted unique_name);
}
