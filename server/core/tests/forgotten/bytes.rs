// It forgets how long it is.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name label fields event);
}
