//! The live mark, tables, panels and what one does in them.

subject! { tables;
    // ---- live ----
    Live: "Live",
    LiveLabel: "Live updates",
    LiveConnecting: "Connecting…",
    Reconnecting: "Reconnecting",
    DataFrom: "data from {time}",
    NotLiveSince: "Not live since {time}.",

    // ---- tables ----
    Filter: "Filter",
    MatchingOf: "{matching} of {count}",
    NothingMatches: "Nothing matches.",
    ClearFilter: "Clear filter",
    ShowMore: "Show {n} more|Show {n} more",
    ShownFrom: "Shown as of {time}.",
    FirstOf: "The first {shown} of {total} are shown.",
    FoldedUnder: "{anchor}: {count}",
    Deleted: "Deleted",
    Status: "Status",
    Name: "Name",
    Id: "ID",
    Description: "Description",
    Created: "Created",
    Changed: "Changed",
    Used: "Used",
    Kind: "Kind",
    Internet: "Internet",
    Mtu: "MTU",

    // ---- panels ----
    DiscardQuestion: "Discard what you typed?",
    Discard: "Discard",
    KeepEditing: "Keep editing",
    Created1: "{name} was created.",
    Deleted1: "{name} was deleted.",
    DeleteNamed: "Delete {name}?",
    OwnedByCluster: "It belongs to cluster {cluster} and goes when that is deleted.",
    PodsOnly: "Only the nodes of cluster {cluster} give addresses from this subnet.",
}
