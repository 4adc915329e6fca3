// It forgets who may learn of a change of it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS project cluster audited counted unique_name bytes);
}
