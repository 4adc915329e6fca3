//! What went wrong, as a sentence in the reader's language.

use std::collections::BTreeMap;

use portolan_shared::refusal::Refusal;
use serde::Deserialize;

use crate::i18n::{self, Key, codes, t};

/// A call that did not do what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status; 0 when no answer came.
    pub status: u16,
    /// The server's stable code; empty when it gave none.
    pub code: String,
    /// What the sentence needs, by name.
    pub params: Vec<(String, String)>,
    /// The server's English sentence; empty when it gave none.
    pub said: String,
    /// Which field of the request is wrong.
    pub field: Option<String>,
    /// For support.
    pub request_id: String,
}

/// Both of the server's error bodies, as far as they matter here.
#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    code: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    request_id: String,
    #[serde(default, alias = "message")]
    detail: String,
}

/// `/v2.0` wraps its error, and has `message` beside an often empty `detail`.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "NeutronError")]
    error: Neutron,
}

#[derive(Deserialize)]
struct Neutron {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    request_id: String,
}

impl Failure {
    /// No answer came: offline, or the server is away.
    pub fn unreachable() -> Self {
        Self::default()
    }

    /// An answer came that is not what it should be.
    pub fn unreadable(detail: &str) -> Self {
        Self {
            status: 200,
            said: detail.to_owned(),
            ..Self::default()
        }
    }

    /// From the status and body of an answer; `request_id` is the header's, the body's wins.
    pub fn from_answer(status: u16, body: &str, request_id: &str) -> Self {
        let body = match serde_json::from_str::<Wrapped>(body) {
            Ok(Wrapped { error }) => Body {
                code: error.code,
                params: error.params,
                field: error.field,
                request_id: error.request_id,
                detail: error.message,
            },
            Err(_) => serde_json::from_str(body).unwrap_or_default(),
        };
        let request_id = if body.request_id.is_empty() {
            request_id.to_owned()
        } else {
            body.request_id
        };
        Self {
            status,
            code: body.code,
            params: body.params.into_iter().collect(),
            said: body.detail,
            field: body.field,
            request_id,
        }
    }

    /// From a refusal found in the browser, before anything was sent. It is said by its code: a browser does not download
    /// the server's own sentences.
    pub fn from_refusal(refusal: &Refusal) -> Self {
        Self {
            status: 400,
            code: refusal.code().to_owned(),
            params: refusal
                .params()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            said: String::new(),
            field: refusal.field(),
            request_id: String::new(),
        }
    }

    /// What a person reads.
    ///
    /// By code in the reader's language; else the server's own sentence; else what the status means.
    pub fn sentence(&self) -> String {
        if let Some(key) = error_key(&self.code) {
            match i18n::params::sentence(key, &self.params, &[]) {
                Some(sentence) => return sentence,
                None if self.said.is_empty() => return t(key).to_owned(),
                None => {}
            }
        }
        if !self.said.is_empty() {
            return self.said.clone();
        }
        let key = match self.status {
            0 => Key::FailureUnreachable,
            401 => Key::FailureSignedOut,
            403 => Key::FailureForbidden,
            404 => Key::FailureNotFound,
            429 | 503 => Key::FailureBusy,
            500.. => Key::FailureServer,
            _ => Key::FailureOther,
        };
        t(key).to_owned()
    }

    /// Whether the same request may succeed by itself a moment later.
    pub fn passes(&self) -> bool {
        matches!(self.status, 0 | 429 | 500..)
    }
}

/// The key of a code's sentence, `None` for a code this console does not know.
pub fn error_key(code: &str) -> Option<Key> {
    codes::ERRORS
        .iter()
        .chain(codes::FAILURES)
        .find(|(known, _)| *known == code)
        .map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use portolan_shared::holder::Holder;
    use portolan_shared::refusal::Refusal;

    use super::*;
    use crate::i18n::Lang;
    use crate::i18n::tests::in_language;

    #[test]
    fn both_error_bodies_are_read() {
        let neutron = r#"{"NeutronError":{"type":"IpAddressInUse","message":"taken","detail":"","code":"x.y",
            "params":{"a":"1"},"field":"fixed_ips","request_id":"req-1"}}"#;
        let failure = Failure::from_answer(409, neutron, "req-0");
        assert_eq!((failure.code.as_str(), failure.said.as_str()), ("x.y", "taken"));
        assert_eq!(
            (failure.field.as_deref(), failure.request_id.as_str()),
            (Some("fixed_ips"), "req-1")
        );

        let problem =
            r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"gone","code":"not_found","params":{}}"#;
        let failure = Failure::from_answer(404, problem, "req-0");
        assert_eq!((failure.said.as_str(), failure.request_id.as_str()), ("gone", "req-0"));
    }

    #[test]
    fn what_is_no_error_body_still_makes_a_sentence() {
        for (status, body) in [(502, "<html>"), (0, ""), (418, "[]")] {
            assert!(!Failure::from_answer(status, body, "").sentence().is_empty());
        }
    }

    #[test]
    fn a_known_code_with_its_params_is_said_by_key_else_by_the_server() {
        let mut failure = Failure {
            code: "subnet.dns_duplicate".into(),
            params: vec![("address".into(), "10.0.0.2".into())],
            said: "the server's".into(),
            ..Failure::default()
        };
        assert!(failure.sentence().contains("10.0.0.2"));
        failure.params.clear();
        assert_eq!(failure.sentence(), "the server's");
        failure.code = "of.tomorrow".into();
        assert_eq!(failure.sentence(), "the server's");
    }

    #[test]
    fn what_no_refusal_answers_is_said_in_the_readers_language_too() {
        let lost = Failure {
            status: 404,
            code: "route.unknown".into(),
            said: "The resource could not be found.".into(),
            ..Failure::default()
        };
        in_language(Lang::Ru, || assert_eq!(lost.sentence(), t(Key::FailureNotFound)));
    }

    #[test]
    fn every_code_of_the_server_has_a_sentence() {
        for code in Refusal::CODES {
            assert!(error_key(code).is_some(), "{code} has no text");
        }
        assert_eq!(
            codes::ERRORS.len(),
            Refusal::CODES.len(),
            "a text for a code that is no more"
        );
    }

    #[test]
    fn no_sentence_needs_a_param_that_the_servers_has_not() {
        let holes = |text: &str| -> Vec<String> {
            let parts = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
            parts.map(|(name, _)| name.to_owned()).collect()
        };
        for (code, _, sentence) in Refusal::TABLE {
            let (has, key) = (holes(sentence), error_key(code).unwrap());
            for hole in holes(t(key)) {
                assert!(has.contains(&hole), "{code} has no {hole}");
            }
        }
    }

    #[test]
    fn the_servers_words_are_said_in_the_readers_language_and_names_are_not() {
        let missing = Failure::from_refusal(&Refusal::NotFound {
            kind: "Network".into(),
            id: "port".into(),
        });
        assert_eq!(missing.sentence(), "Network port could not be found.");
        let standing = Failure::from_refusal(&Refusal::RequestNotGranted {
            state: "in_review".into(),
        });
        assert!(standing.sentence().contains("is in review"), "{}", standing.sentence());
        in_language(Lang::Ru, || {
            assert_eq!(missing.sentence(), "Не найдено: сеть port.");
            assert!(
                standing.sentence().contains("на рассмотрении"),
                "{}",
                standing.sentence()
            );
        });
    }

    #[test]
    fn sentences_ask_only_for_params_the_refusal_has() {
        let refusal = Refusal::AddressTaken {
            address: "10.0.0.9".parse().unwrap(),
            subnet: "web".into(),
            holder: Holder::PodOn("default/web-1".into(), "node-2".into(), None),
        };
        let said = Failure::from_refusal(&refusal).sentence();
        assert!(
            said.contains("10.0.0.9") && said.contains("pod default/web-1 on node-2"),
            "{said}"
        );
    }
}
