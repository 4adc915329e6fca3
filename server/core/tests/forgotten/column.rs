// It has a column whose value is none that the store knows.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields event);

    const COLUMNS: &'static [Column<Self>] = &[Column {
        name: "public_id",
        type_: Type::Bytes,
        value: |o| o.id,
    }];
}
