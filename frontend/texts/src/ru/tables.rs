//! The live mark, tables, panels and what one does in them.

subject! { tables;
    // ---- live ----
    Live: "Обновляется",
    LiveLabel: "Обновление данных",
    LiveConnecting: "Подключаемся…",
    Reconnecting: "Восстанавливаем связь",
    DataFrom: "данные на {time}",
    NotLiveSince: "Не обновляется с {time}.",

    // ---- tables ----
    Filter: "Фильтр",
    MatchingOf: "{count}, найдено: {matching}",
    NothingMatches: "Ничего не найдено.",
    ClearFilter: "Сбросить фильтр",
    ShowMore: "Показать ещё {n}|Показать ещё {n}|Показать ещё {n}",
    ShownFrom: "Показаны данные на {time}.",
    FirstOf: "Показаны первые {shown} из {total}.",
    FoldedUnder: "{anchor}: {count}",
    Deleted: "Удалено",
    Status: "Статус",
    Name: "Имя",
    Id: "ID",
    Description: "Описание",
    Created: "Создано",
    Changed: "Изменено",
    Used: "Занято",
    Kind: "Тип",
    Internet: "Интернет",
    Mtu: "MTU",

    // ---- panels ----
    DiscardQuestion: "Отбросить введённое?",
    Discard: "Отбросить",
    KeepEditing: "Продолжить ввод",
    Created1: "Создано: {name}.",
    Deleted1: "Удалено: {name}.",
    DeleteNamed: "Удалить {name}?",
    OwnedByCluster: "Принадлежит кластеру {cluster} и удаляется вместе с ним.",
    PodsOnly: "Адреса из этой подсети раздают только узлы кластера {cluster}.",
}
