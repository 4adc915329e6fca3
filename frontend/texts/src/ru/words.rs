//! Words that the server puts into its sentences: what a thing is called, and how a request stands.

subject! { words;
    WordNetwork: "сеть",
    WordSubnet: "подсеть",
    WordPort: "порт",
    WordPod: "под",
    WordCluster: "кластер",
    WordNode: "узел",
    WordBlock: "блок",
    WordJoinToken: "токен присоединения",
    WordToken: "токен",
    WordProject: "проект",
    WordDomain: "домен",
    WordUser: "пользователь",
    WordRole: "роль",
    WordRequest: "заявка",
    WordNew: "новая",
    WordInReview: "на рассмотрении",
    WordGranted: "одобрена",
    WordDeclined: "отклонена",
    WordWithdrawn: "отозвана",
}
