//! Words and status codes that show what kind of trouble a text tells of.

use std::sync::LazyLock;

use regex::bytes::{RegexSet, SetMatches};

use crate::pattern::patterns;

/// What a text may show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The account is empty.
    OutOfMoney,
    /// A quota is used up.
    Quota,
    /// It passes by itself.
    Passes,
    /// It has to do with money.
    Billing,
    /// Too many requests.
    TooMuch,
    /// A limit of the run.
    RunLimit,
    /// The key or the login.
    NoAccess,
    /// The model.
    NoModel,
    /// What the mode does not allow.
    NotAllowed,
    /// The connection.
    Unreachable,
    /// The provider's own failure.
    ServerTrouble,
    /// Trouble is mentioned in passing: frames of stacks, the lesser levels of logs.
    Aside,
}

/// The signs in a text.
pub(crate) struct Signs(SetMatches);

impl Signs {
    pub(crate) fn of(text: &str) -> Self {
        Self(SIGNS.matches(text.as_bytes()))
    }

    pub(crate) fn show(&self, sign: Sign) -> bool {
        self.0.matched(sign as usize)
    }
}

/// Where a number is a status: counts, lines and the like look the same.
const BEFORE_CODE: &str = r"(?:^\s*|[(\[]|(?:status|code|error|https?(?:/[\d.]+)?|response|returned|got)\W{0,4}(?:(?:status|code)\W{0,4})*)";
const AFTER_CODE: &str = r"(?:[^\w:.-]|[:.]?\s|\.?$)";

/// In the order of [`Sign`]: status codes, and words.
const TABLE: [(Sign, &str, &[&str]); 12] = [
    (
        Sign::OutOfMoney,
        r"402",
        &[
            r"insufficient[ _](?:account )?(?:balance|credits?|funds|quota)",
            r"credit balance",
            r"out of (?:\w+ )?(?:credits?|funds)",
            r"credits? (?:\w+ )?(?:exhausted|depleted|too low|used up)",
            r"credits?_?exhausted",
            r"no (?:remaining )?credits",
            r"not enough (?:credits?|balance|funds)",
            r"payment[ _]required",
            r"billing_error",
            r"billing[ _]hard[ _]limit",
        ],
    ),
    (
        Sign::Quota,
        r"",
        &[
            r"exceeded your (?:current )?quota",
            r"quota[ _](?:was )?exceeded",
            r"exceeded .{0,40}\bquota",
            r"quota (?:limit )?(?:reached|exhausted)",
            r"quotaerror",
        ],
    ),
    (
        Sign::Passes,
        r"",
        &[
            r"retry(?:ing)? (?:in|after)",
            r"try again (?:in|at|after|later)",
            r"resets?\b",
            r"resource_exhausted",
            r"free_tier",
            r"ai\.google\.dev",
            r"ai\.dev/",
            r"googleapis",
            r"per[ _-]?(?:minute|hour|day)",
            r"retry-?(?:delay|after)",
            r"usage limit",
        ],
    ),
    (Sign::Billing, r"", &[r"\bbilling\b"]),
    (
        Sign::TooMuch,
        r"429|529",
        &[
            r"rate.?limit",
            r"too many requests",
            r"overloaded",
            r"resource_exhausted",
            r"usage.?limit",
            r"usage (?:was )?exceeded",
            r"out of extra usage",
            r"(?:session|weekly|daily|5-hour) limit",
            r"hit your limit",
            r"throttl",
            r"capacity",
        ],
    ),
    (
        Sign::RunLimit,
        r"",
        &[
            r"max(?:imum)?[ _](?:number of |session[ _])?turns",
            r"turn limit",
            r"error_max_",
            r"max_?budget",
            r"budget_exhausted",
            r"context[ _](?:length|window)",
            r"maximum context",
            r"prompt is too long",
            r"output token maximum",
            r"token limit",
        ],
    ),
    (
        Sign::NoAccess,
        r"401|403",
        &[
            r"unauthor",
            r"unauthenticated",
            r"authentication|authenticationerror|(?:not|failed to|could not|re-?)\s?authenticate",
            r"(?:invalid|incorrect|missing|no|expired) (?:\w+ )?api[ _-]?key",
            r"invalid x-api-key",
            r"api_key_invalid",
            r"api[ _]?key (?:\w+ ){0,3}(?:not|invalid|missing|expired|required)",
            r"forbidden",
            r"not logged in",
            r"/login\b",
            r"please (?:log|sign) ?in",
            r"(?:log|sign) ?in (?:again|required)",
            r"auth login",
            r"set an auth method",
            r"autherror",
            r"permission_denied",
            r"(?:token|credentials?|oauth) (?:has |have |is )?(?:expired|revoked|invalid)",
            r"(?:invalid|missing) bearer",
            r"no credentials",
            r"organization has been disabled",
        ],
    ),
    (
        Sign::NoModel,
        r"",
        &[
            r"model[^\n]{0,100}(?:not[ _]found|unavailable|not available|(?:does|may|do) not exist|unknown|invalid|not supported|unsupported|no longer|deprecated|retired)",
            r"(?:unknown|invalid|unsupported|no such)[ _]model",
            r"model_?not_?found",
            r"modelnotfound",
            r"no models? available",
            r"not_found_error.{0,40}model",
            r"issue with the selected model",
        ],
    ),
    (
        Sign::NotAllowed,
        r"",
        &[
            r"permission denied",
            r"operation not permitted",
            r"eacces",
            r"\beperm\b",
            r"trusted (?:directory|folder|workspace)",
            r"approval (?:is )?required",
            r"not allowed in (?:this|plan) mode",
            r"denied by (?:policy|the user)",
        ],
    ),
    (
        Sign::Unreachable,
        r"502|503|504",
        &[
            r"econn(?:refused|reset|aborted)",
            r"etimedout",
            r"\benotfound\b",
            r"eai_again",
            r"enetunreach",
            r"ehostunreach",
            r"\bepipe\b",
            r"socket hang up",
            r"fetch failed",
            r"timed? ?out",
            r"network (?:error|is unreachable)",
            r"connection (?:error|refused|reset|closed|aborted|failed)",
            r"could not connect",
            r"unable to connect",
            r"failed to connect",
            r"stream disconnected",
            r"error sending request",
            r"\bdns\b",
            r"getaddrinfo",
            r"bad gateway",
            r"service unavailable",
            r"gateway time",
            r"certificate",
            r"tls handshake",
            r"self.signed",
        ],
    ),
    (
        Sign::ServerTrouble,
        r"5\d\d",
        &[
            r"internal server error",
            r"internal error",
            r"server_error",
            r"api_error",
            r"try again",
        ],
    ),
    (
        Sign::Aside,
        r"",
        &[
            r"^\s*at\s",
            r"^\s*[\[(]?(?:warn(?:ing)?|info|debug|trace|deprecat\w+|note)\b",
            r"level=(?:info|warn|debug)",
        ],
    ),
];

static SIGNS: LazyLock<RegexSet> = LazyLock::new(|| {
    let each = TABLE.map(|(_, codes, words)| {
        let words = words.join("|");
        match codes {
            "" => words,
            codes => format!("{words}|{BEFORE_CODE}(?:{codes}){AFTER_CODE}"),
        }
    });
    patterns(each.iter().map(String::as_str))
});
