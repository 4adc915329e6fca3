// It forgets where a view keeps it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields event);
}
