//! What goose calls models and sessions.

/// The provider and the name of a model. One that tells neither by its form is left to goose's own
/// configuration.
pub(super) fn whose(model: &str) -> (Option<&str>, Option<&str>) {
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
pub(super) fn is_own_id(session: &str) -> bool {
    session.split_once('_').is_some_and(|(date, number)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        date.len() == 8 && is_number(date) && is_number(number)
    })
}
