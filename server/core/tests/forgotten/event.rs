// It forgets what the console is told of it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields);
}
