// It forgets the quota it counts in.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited unique_name bytes label fields event);
}
