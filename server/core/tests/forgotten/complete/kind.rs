// It says everything, and compiles.

include!("scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields event);
}
