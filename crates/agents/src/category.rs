//! What kind of trouble an error text tells of, and what to do about it.

use serde_json::Value;

use crate::event::{AgentError, Category};
use crate::reason::{reason, unwrapped};
use crate::sign::{Sign, Signs};

/// The longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 10_000;

impl AgentError {
    /// From a provider's words, which may be JSON or hold some.
    pub(crate) fn from_text(text: &str) -> Self {
        Self::new(Category::of(&Signs::of(text)), text)
    }

    /// From the object that tells of an error.
    pub(crate) fn from_value(value: &Value) -> Self {
        let text = reason(value);
        let name = [&value["error"], value]
            .into_iter()
            .find_map(|from| from["name"].as_str().or(from["type"].as_str()))
            .unwrap_or_default();
        let status = [&value["error"], value].into_iter().find_map(|from| {
            [&from["statusCode"], &from["data"]["statusCode"]]
                .into_iter()
                .find_map(Value::as_u64)
        });
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        let all = format!("{text} {name} status {status}");
        Self::new(Category::of(&Signs::of(&all)), &text)
    }

    /// Of a category that is known.
    pub(crate) fn new(category: Category, text: &str) -> Self {
        let retryable = match category {
            Category::RateLimit | Category::Network => true,
            Category::Unknown => Signs::of(text).show(Sign::ServerTrouble),
            _ => false,
        };
        Self {
            message: clipped(unwrapped(text.trim(), 3)),
            category,
            hint: category.hint().to_owned(),
            retryable,
        }
    }
}

impl Category {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Balance => "balance",
            Self::RateLimit => "rate_limit",
            Self::ModelUnavailable => "model_unavailable",
            Self::Network => "network",
            Self::Permission => "permission",
            Self::Limit => "limit",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }

    /// The first that fits. Money that is gone comes before limits that pass, since both are told
    /// with status 429 and the word quota: a quota is a limit that passes if the text says when, or
    /// comes from where quotas are by the minute and the day (Google); it is money if all that the
    /// text advises is to look at the billing (`OpenAI`, and so codex).
    pub(crate) fn of(signs: &Signs) -> Self {
        let is = |sign| signs.show(sign);
        if is(Sign::OutOfMoney) {
            Self::Balance
        } else if is(Sign::Quota) {
            if is(Sign::Billing) && !is(Sign::Passes) {
                Self::Balance
            } else {
                Self::RateLimit
            }
        } else if is(Sign::TooMuch) {
            Self::RateLimit
        } else if is(Sign::RunLimit) {
            Self::Limit
        } else if is(Sign::Billing) {
            Self::Balance
        } else if is(Sign::NoAccess) {
            Self::Auth
        } else if is(Sign::NoModel) {
            Self::ModelUnavailable
        } else if is(Sign::NotAllowed) {
            Self::Permission
        } else if is(Sign::Unreachable) {
            Self::Network
        } else {
            Self::Unknown
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Auth => {
                "Log in with the provider's own CLI or set its key variable; agent list tells \
                 which login it has."
            }
            Self::Balance => {
                "Add credit to the provider's account, or use another account or provider."
            }
            Self::RateLimit => {
                "Wait until the limit passes, then send the prompt again; a smaller model may \
                 have room left."
            }
            Self::ModelUnavailable => {
                "Name a model that the provider has and the account may use, or leave the model out."
            }
            Self::Network => "Check the connection and the proxy, then send the prompt again.",
            Self::Permission => {
                "Choose a mode that allows what the prompt asks for, or ask for less."
            }
            Self::Limit => "Raise the limit, or ask for less in one run.",
            Self::Stopped => "It was asked to stop; send continues the conversation.",
            Self::Unknown => "logs shows all that it printed.",
        }
    }
}

fn clipped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_MESSAGE));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Category, texts: &[&str]) {
        for text in texts {
            assert_eq!(AgentError::from_text(text).category, expected, "{text}");
        }
    }

    #[test]
    fn money_that_is_gone() {
        check(
            Category::Balance,
            &[
                "Credit balance is too low",
                "Your credit balance is too low to access the API. Please go to Plans & Billing.",
                "Quota exceeded. Check your plan and billing details.",
                "429 You exceeded your current quota, please check your plan and billing details. For more \
                 information: https://platform.openai.com/docs/guides/error-codes/api-errors.",
                "Error code: 429 - {'error': {'code': 'insufficient_quota'}}",
                "402 Payment Required",
                "Insufficient credits. Add more at https://openrouter.ai/credits",
                "Your prepayment credits are depleted. RESOURCE_EXHAUSTED",
                "billing is not enabled for this project",
            ],
        );
    }

    #[test]
    fn limits_that_pass() {
        check(
            Category::RateLimit,
            &[
                "You exceeded your current quota, please check your plan and billing details. To monitor \
                 your usage: https://ai.dev/rate-limit. Please retry in 34.8s.",
                "Rate limit reached for gpt-x on tokens per min. Add a payment method at \
                 https://platform.openai.com/account/billing.",
                "You've hit your usage limit. Try again in 2 hours.",
                "API Error: 529 Overloaded",
                "The model is overloaded and unavailable. Please try again later.",
                "exceeded retry limit, last status: 429 Too Many Requests",
                "Quota exceeded for metric: generate_requests_per_day",
                "Free usage exceeded, add credits [retrying in 3h]",
                "You're out of extra usage · resets 3pm",
            ],
        );
    }

    #[test]
    fn keys_and_models() {
        check(
            Category::Auth,
            &[
                "Not logged in · Please run /login",
                "unexpected status 401 Unauthorized: Missing bearer or basic authentication",
                "API key not valid. Please pass a valid API key.",
                "Please set an Auth method in your settings or set GEMINI_API_KEY",
                "OAuth token has expired",
                "Your access token could not be refreshed. Please log out and sign in again.",
                "Authentication failed (403)",
                "No API key found for anthropic",
                "PERMISSION_DENIED: the caller may not",
            ],
        );
        check(
            Category::ModelUnavailable,
            &[
                "The model `gpt-9.5` does not exist or you do not have access to it.",
                "models/gemini-9.9-pro is not found for API version v1",
                "There's an issue with the selected model (x). It may not exist",
                "Unknown model: foo/bar",
                "ProviderModelNotFoundError",
            ],
        );
    }

    #[test]
    fn connections_modes_and_limits() {
        check(
            Category::Network,
            &[
                "TypeError: fetch failed",
                "connect ECONNREFUSED 127.0.0.1:443",
                "stream disconnected before completion",
                "502 Bad Gateway",
                "Request timed out.",
            ],
        );
        check(
            Category::Permission,
            &[
                "Not inside a trusted directory and --skip-git-repo-check was not specified.",
                "EACCES: permission denied, open '/etc/x'",
            ],
        );
        check(
            Category::Limit,
            &[
                "Reached max session turns for this session",
                "prompt is too long: 210000 tokens > 200000 maximum",
                "Your input exceeds the context window of this model",
            ],
        );
    }

    #[test]
    fn numbers_and_words_that_mean_nothing() {
        check(
            Category::Unknown,
            &[
                "something odd",
                "thread 'main' panicked at src/auth.rs:401:12",
                "wrote 429 files in 402 folders",
                "[API Error: An unknown error occurred.]",
                "authenticated as me",
            ],
        );
    }

    #[test]
    fn what_passes_may_be_tried_again() {
        let is_retryable = |text: &str| AgentError::from_text(text).retryable;
        assert!(is_retryable("429 Too Many Requests"));
        assert!(is_retryable("fetch failed"));
        assert!(is_retryable("500 Internal Server Error"));
        assert!(!is_retryable("402 Payment Required"));
        assert!(!is_retryable("something odd"));
    }

    #[test]
    fn the_words_are_found_wherever_they_hide() {
        for (value, expected) in [
            (json!({"data": {"message": "a"}, "message": "b"}), "a"),
            (json!({"message": "b", "error": {"message": "c"}}), "b"),
            (
                json!({"error": {"data": {"message": "c"}, "message": "d"}}),
                "c",
            ),
            (json!({"error": {"message": "d"}}), "d"),
            (json!({"error": "e"}), "e"),
            (json!({"finalError": "f", "detail": "g"}), "f"),
            (json!({"name": "h", "error": {"name": "i"}}), "h"),
            (json!({"error": {"name": "i"}, "code": 7}), "i"),
            (json!({"code": 7}), "7"),
            (json!({"x": [1]}), r#"{"x":[1]}"#),
            (json!({"responseBody": r#"{"error":{"message":"j"}}"#}), "j"),
        ] {
            assert_eq!(AgentError::from_value(&value).message, expected, "{value}");
        }
    }

    #[test]
    fn messages_have_an_end() {
        let message = AgentError::from_text(&"é".repeat(MAX_MESSAGE)).message;
        assert_eq!(message.len(), MAX_MESSAGE);
    }
}
