// It forgets whose it is.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id cluster audience audited counted unique_name bytes label fields event);
}
