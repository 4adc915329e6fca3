// It forgets the quota it counts in.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS project cluster audience audited unique_name bytes);
}
