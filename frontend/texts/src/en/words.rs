//! Words that the server puts into its sentences: what a thing is called, and how a request stands.

subject! { words;
    WordNetwork: "network",
    WordSubnet: "subnet",
    WordPort: "port",
    WordPod: "pod",
    WordCluster: "cluster",
    WordNode: "node",
    WordBlock: "block",
    WordJoinToken: "join token",
    WordToken: "token",
    WordProject: "project",
    WordDomain: "domain",
    WordUser: "user",
    WordRole: "role",
    WordRequest: "request",
    WordNew: "new",
    WordInReview: "in review",
    WordGranted: "granted",
    WordDeclined: "declined",
    WordWithdrawn: "withdrawn",
}
