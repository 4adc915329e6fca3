// It forgets the name that the audit shows.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes fields event);
}
