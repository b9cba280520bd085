//! What kind of trouble an error text tells of, and what to do about it.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::event::{AgentError, Category};

/// The longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 10_000;

impl AgentError {
    /// From a provider's words, which may be JSON or hold some.
    pub(crate) fn from_text(text: &str) -> Self {
        Self::new(Category::of(text), text)
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
        Self::new(Category::of(&format!("{name} {status} {text}")), &text)
    }

    /// Of a category that is known.
    pub(crate) fn new(category: Category, text: &str) -> Self {
        let retryable = match category {
            Category::RateLimit | Category::Network => true,
            Category::Unknown => SERVER_TROUBLE.is_match(text),
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
    pub(crate) fn of(text: &str) -> Self {
        let is = |pattern: &Regex| pattern.is_match(text);
        if is(&OUT_OF_MONEY) {
            Self::Balance
        } else if is(&QUOTA) {
            if is(&BILLING) && !is(&PASSES) {
                Self::Balance
            } else {
                Self::RateLimit
            }
        } else if is(&TOO_MUCH) {
            Self::RateLimit
        } else if is(&RUN_LIMIT) {
            Self::Limit
        } else if is(&BILLING) {
            Self::Balance
        } else if is(&NO_ACCESS) {
            Self::Auth
        } else if is(&NO_MODEL) {
            Self::ModelUnavailable
        } else if is(&NOT_ALLOWED) {
            Self::Permission
        } else if is(&UNREACHABLE) {
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

/// Numbers of lines and the like look as status codes do, so a code stands alone.
const CODE_BEGIN: &str = r"(?:^|[^\w.:/-]|\bstatus:|\bcode:|error:)";
const CODE_END: &str = r"(?:[^\w:-]|:?\s|$)";

macro_rules! pattern {
    ($name:ident, codes: $codes:expr, $words:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            let codes: &str = $codes;
            let words: &str = $words;
            let all = if codes.is_empty() {
                format!("(?i){words}")
            } else {
                format!("(?i){words}|{CODE_BEGIN}(?:{codes}){CODE_END}")
            };
            Regex::new(&all).expect("the pattern is fixed")
        });
    };
}

pattern!(OUT_OF_MONEY, codes: "402",
    r"insufficient[ _](?:account )?(?:balance|credits?|funds|quota)|credit balance|out of (?:\w+ )?(?:credits?|funds)|credits? (?:\w+ )?(?:exhausted|depleted|too low|used up)|credits?_?exhausted|no (?:remaining )?credits|not enough (?:credits?|balance|funds)|payment[ _]required|billing_error|billing[ _]hard[ _]limit");
pattern!(QUOTA, codes: "",
    r"exceeded your (?:current )?quota|quota[ _](?:was )?exceeded|exceeded .{0,40}\bquota|quota (?:limit )?(?:reached|exhausted)|quotaerror");
pattern!(PASSES, codes: "",
    r"retry (?:in|after)|try again (?:in|at|after|later)|resets?\b|resource_exhausted|free_tier|ai\.google\.dev|ai\.dev/|googleapis|per[ _-]?(?:minute|hour|day)|retry-?(?:delay|after)|usage limit");
pattern!(BILLING, codes: "", r"\bbilling\b");
pattern!(TOO_MUCH, codes: "429|529",
    r"rate.?limit|too many requests|overloaded|resource_exhausted|usage.?limit|(?:session|weekly|daily|5-hour) limit|hit your limit|throttl|capacity");
pattern!(RUN_LIMIT, codes: "",
    r"max(?:imum)?[ _](?:number of |session[ _])?turns|turn limit|error_max_|max_?budget|budget_exhausted|context[ _](?:length|window)|maximum context|prompt is too long|output token maximum|token limit");
pattern!(NO_ACCESS, codes: "401|403",
    r"unauthor|unauthenticated|authenticat|(?:invalid|incorrect|missing|no|expired) (?:\w+ )?api[ _-]?key|invalid x-api-key|api[ _]?key (?:\w+ ){0,3}(?:not|invalid|missing|expired|required)|forbidden|not logged in|/login\b|please log ?in|log ?in (?:again|required)|auth login|set an auth method|autherror|permission_denied|(?:token|credentials?|oauth) (?:has |have |is )?(?:expired|revoked|invalid)|(?:invalid|missing) bearer|no credentials|organization has been disabled");
pattern!(NO_MODEL, codes: "",
    r"model[^.]{0,100}(?:not[ _]found|unavailable|not available|(?:does|may|do) not exist|unknown|invalid|not supported|unsupported|no longer|deprecated|retired)|(?:unknown|invalid|unsupported|no such)[ _]model|model_?not_?found|modelnotfound|not_found_error.{0,40}model|issue with the selected model");
pattern!(NOT_ALLOWED, codes: "",
    r"permission denied|operation not permitted|eacces|\beperm\b|trusted (?:directory|folder|workspace)|approval (?:is )?required|not allowed in (?:this|plan) mode|denied by (?:policy|the user)");
pattern!(UNREACHABLE, codes: "502|503|504",
    r"econn(?:refused|reset|aborted)|etimedout|enotfound|eai_again|enetunreach|ehostunreach|epipe|socket hang up|fetch failed|timed? ?out|network (?:error|is unreachable)|connection (?:error|refused|reset|closed|aborted|failed)|could not connect|unable to connect|failed to connect|stream disconnected|error sending request|dns|getaddrinfo|bad gateway|service unavailable|gateway time|certificate|tls handshake|self.signed");
pattern!(SERVER_TROUBLE, codes: "5\\d\\d", r"internal server error|internal error|server_error|api_error|try again");

/// The words of an error object: messages first, wherever they hide, then names and codes, then all of it.
pub(crate) fn reason(value: &Value) -> String {
    let text = message_of(value, 6)
        .or_else(|| {
            let plain = ["finalError", "detail", "description", "reason", "name"];
            plain.into_iter().find_map(|field| text_of(&value[field]))
        })
        .or_else(|| text_of(&value["error"]["name"]))
        .or_else(|| text_of(&value["code"]));
    text.unwrap_or_else(|| value.to_string())
}

fn message_of(value: &Value, depth: u8) -> Option<String> {
    if depth == 0 || !value.is_object() {
        return None;
    }
    let (data, error) = (&value["data"], &value["error"]);
    text_of(&data["message"])
        .or_else(|| text_of(&value["message"]))
        .or_else(|| message_of(error, depth - 1))
        .or_else(|| text_of(error))
        .or_else(|| message_of(data, depth - 1))
        .or_else(|| {
            let body = serde_json::from_str(value["responseBody"].as_str()?).ok()?;
            message_of(&body, depth - 1)
        })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `400 {"error": {"message": "no credit"}}` is `400 no credit` to a person.
fn unwrapped(text: &str, depth: u8) -> String {
    let inner = || {
        let (before, json) = text.split_at(text.find('{')?);
        let value: Value = serde_json::from_str(json).ok()?;
        let message = unwrapped(message_of(&value, 6)?.trim(), depth.checked_sub(1)?);
        Some(format!("{before}{message}"))
    };
    inner().unwrap_or_else(|| text.to_owned())
}

fn clipped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_MESSAGE));
    text
}
