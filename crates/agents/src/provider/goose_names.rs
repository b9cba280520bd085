//! What goose calls models and sessions.

use crate::spec::AgentSpec;

/// The values of `--provider` and `--model`. Whoever names a provider among the arguments means the
/// model as it stands.
pub(super) fn model_options(spec: &AgentSpec) -> (Option<&str>, Option<&str>) {
    let mut names = spec.args.iter().map(|word| word.split('=').next());
    match spec.model.as_deref() {
        Some(model) if names.any(|name| name == Some("--provider")) => (None, Some(model)),
        Some(model) => whose(model),
        None => (None, None),
    }
}

/// The option that finds a session again.
pub(super) fn session_option(session: &str) -> &'static str {
    if is_own_id(session) {
        "--session-id"
    } else {
        "--name"
    }
}

/// The provider and the name of a model. One that tells neither by its form is left to goose's own
/// configuration.
fn whose(model: &str) -> (Option<&str>, Option<&str>) {
    if let Some((provider, name)) = model.split_once('/')
        && PROVIDERS.contains(&provider)
    {
        return (Some(provider), Some(name));
    }
    let provider = match model {
        _ if model.contains('/') => None,
        _ if model.contains("claude") => Some("anthropic"),
        _ if model.starts_with("gpt-") => Some("openai"),
        _ if model.starts_with("gemini-") => Some("google"),
        _ => None,
    };
    (provider, Some(model))
}

/// What may stand before a model's name; others use `/` within names.
const PROVIDERS: [&str; 6] = [
    "anthropic",
    "openai",
    "google",
    "openrouter",
    "ollama",
    "databricks",
];

/// Its own ids are a date and a number: `20260523_1`.
fn is_own_id(session: &str) -> bool {
    session.split_once('_').is_some_and(|(date, number)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        date.len() == 8 && is_number(date) && is_number(number)
    })
}
