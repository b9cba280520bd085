//! `health` of `start`: how to find out whether a task does what it is for.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Deserialize;

use super::invalid;
use crate::error::{Error, Result};
use crate::log::Pattern;
use crate::task::{HealthProbe, HttpUrl, Probe, WITHOUT_NUL};

/// The smallest number of whatever is counted here.
const LEAST: u8 = 1;
/// The statuses of http.
const STATUSES: RangeInclusive<u16> = 100..=599;

/// How to find out whether a task does what it is for, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthAsked {
    /// What is asked.
    pub r#type: ProbeType,
    /// Of `http`, and only with it, where it may not be left out: `http://HOST[:PORT][/PATH]`.
    #[schemars(length(max = HttpUrl::LONGEST), regex(pattern = HttpUrl::PATTERN))]
    #[schemars(extend("examples" = ["http://localhost:3000/health"]))]
    pub url: Option<String>,
    /// Of `http`: the only status that counts; from 200 to 399 when left out.
    #[serde(alias = "expectedStatus")]
    #[schemars(range(min = *STATUSES.start(), max = *STATUSES.end()), extend("examples" = [204]))]
    pub expected_status: Option<u16>,
    /// Of `tcp`, and only with it, where it may not be left out: a name or an address.
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["localhost"]))]
    pub host: Option<String>,
    /// Of `tcp`, and only with it, where it may not be left out.
    #[schemars(range(min = LEAST), extend("examples" = [5432]))]
    pub port: Option<u16>,
    /// Of `command`, and only with it, where it may not be left out: a path, or a name that is looked
    /// up on the task's PATH.
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["pg_isready"]))]
    pub command: Option<String>,
    /// Of `command`: its arguments; none when left out.
    #[schemars(extend("examples" = [["--quiet"]]))]
    pub args: Option<Vec<String>>,
    /// Of `log`, and only with it, where it may not be left out: a regular expression (syntax of the
    /// Rust `regex` crate) for a line of this run.
    #[schemars(length(min = 1), extend("examples" = ["listening on port [0-9]+"]))]
    pub pattern: Option<String>,
    /// Milliseconds from the end of one probe to the next.
    #[serde(alias = "intervalMs")]
    #[schemars(range(min = LEAST), extend("default" = HealthProbe::INTERVAL_MS))]
    pub interval_ms: Option<u64>,
    /// Milliseconds that one may take.
    #[serde(alias = "timeoutMs")]
    #[schemars(range(min = LEAST), extend("default" = HealthProbe::TIMEOUT_MS))]
    pub timeout_ms: Option<u64>,
    /// Milliseconds in which the first must succeed.
    #[serde(alias = "startupTimeoutMs")]
    #[schemars(range(min = LEAST), extend("default" = HealthProbe::STARTUP_TIMEOUT_MS))]
    pub startup_timeout_ms: Option<u64>,
    /// How many in a row must fail before a healthy task is unhealthy.
    #[serde(alias = "failureThreshold")]
    #[schemars(range(min = LEAST), extend("default" = HealthProbe::FAILURE_THRESHOLD))]
    pub failure_threshold: Option<u32>,
}

/// What a health probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeType {
    /// A GET of `url` answers.
    Http,
    /// `host` accepts a connection on `port`.
    Tcp,
    /// `command` exits with 0.
    Command,
    /// A line of this run's log matches `pattern`.
    Log,
}

impl ProbeType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Command => "command",
            Self::Log => "log",
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["url", "expected_status"],
            Self::Tcp => &["host", "port"],
            Self::Command => &["command", "args"],
            Self::Log => &["pattern"],
        }
    }
}

impl HealthAsked {
    /// What is to be done.
    ///
    /// # Errors
    /// [`Error::CommandInput`] that names the field.
    pub(super) fn resolve(&self) -> Result<HealthProbe> {
        self.refuse_fields_of_others()?;
        let probe = match self.r#type {
            ProbeType::Http => Probe::Http {
                url: self.url()?,
                expected_status: self.expected_status()?,
            },
            ProbeType::Tcp => Probe::Tcp {
                host: without_brackets(self.text("host", self.host.as_ref())?),
                port: match self.port {
                    None => return Err(self.missing("port")),
                    Some(0) => {
                        return Err(invalid(
                            "health.port",
                            "nothing listens on port 0",
                            "Give 1 to 65535.",
                        ));
                    }
                    Some(port) => port,
                },
            },
            ProbeType::Command => Probe::Command {
                command: self.text("command", self.command.as_ref())?,
                args: self.args.clone().unwrap_or_default(),
            },
            ProbeType::Log => {
                let pattern = self.text("pattern", self.pattern.as_ref())?;
                Pattern::compile("health.pattern", &pattern)?;
                Probe::Log { pattern }
            }
        };
        Ok(HealthProbe {
            probe,
            interval_ms: at_least_one("interval_ms", self.interval_ms, HealthProbe::INTERVAL_MS)?,
            timeout_ms: at_least_one("timeout_ms", self.timeout_ms, HealthProbe::TIMEOUT_MS)?,
            startup_timeout_ms: at_least_one(
                "startup_timeout_ms",
                self.startup_timeout_ms,
                HealthProbe::STARTUP_TIMEOUT_MS,
            )?,
            failure_threshold: at_least_one(
                "failure_threshold",
                self.failure_threshold,
                HealthProbe::FAILURE_THRESHOLD,
            )?,
        })
    }

    fn url(&self) -> Result<String> {
        let url = self.text("url", self.url.as_ref())?;
        let hint = "Give http://HOST[:PORT][/PATH], or a probe of another type.";
        match HttpUrl::parse(&url) {
            Ok(_) => Ok(url),
            Err(problem) => Err(invalid("health.url", problem, hint)),
        }
    }

    fn expected_status(&self) -> Result<Option<u16>> {
        match self.expected_status {
            Some(status) if !STATUSES.contains(&status) => Err(invalid(
                "health.expected_status",
                format!("{status} is no http status"),
                "Give 100 to 599, or leave it out for any from 200 to 399.",
            )),
            status => Ok(status),
        }
    }

    fn text(&self, field: &str, value: Option<&String>) -> Result<String> {
        match value {
            None => Err(self.missing(field)),
            Some(text) if text.is_empty() => Err(invalid(
                &format!("health.{field}"),
                "it is empty",
                "Say what is to be asked.",
            )),
            Some(text) if text.contains('\0') => Err(invalid(
                &format!("health.{field}"),
                "it holds a NUL byte",
                "Leave it out.",
            )),
            Some(text) => Ok(text.clone()),
        }
    }

    fn missing(&self, field: &str) -> Error {
        let kind = self.r#type.as_str();
        invalid(
            &format!("health.{field}"),
            format!("a probe of type {kind} needs it"),
            format!(
                "A probe of type {kind} takes {}.",
                self.r#type.fields().join(", ")
            ),
        )
    }

    fn refuse_fields_of_others(&self) -> Result<()> {
        let given = [
            ("url", self.url.is_some()),
            ("expected_status", self.expected_status.is_some()),
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("command", self.command.is_some()),
            ("args", self.args.is_some()),
            ("pattern", self.pattern.is_some()),
        ];
        let (kind, own) = (self.r#type.as_str(), self.r#type.fields());
        match given
            .into_iter()
            .find(|(field, given)| *given && !own.contains(field))
        {
            None => Ok(()),
            Some((field, _)) => Err(invalid(
                &format!("health.{field}"),
                format!("it is not of a probe of type {kind}"),
                format!("A probe of type {kind} takes {}.", own.join(", ")),
            )),
        }
    }
}

/// An address of IPv6 as it stands in a URL.
fn without_brackets(host: String) -> String {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.map(str::to_owned).unwrap_or(host)
}

fn at_least_one<T: PartialEq + From<u8>>(field: &str, value: Option<T>, unless: T) -> Result<T> {
    match value {
        Some(zero) if zero == T::from(0) => Err(invalid(
            &format!("health.{field}"),
            "it must be at least 1",
            "Leave it out for its default.",
        )),
        value => Ok(value.unwrap_or(unless)),
    }
}
