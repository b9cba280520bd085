//! The parts of a plain record.

use super::source::{BOOL, LONG, NULL, SHORT, SIGNALS, Source, Strings, inside};
use crate::task::TaskStatus;

/// Values as they stand in the record, strings with their quotes.
pub(super) struct Facts<'a> {
    pub(super) run: &'a str,
    pub(super) restart_count: &'a str,
    pub(super) created_at: &'a str,
    pub(super) updated_at: &'a str,
    pub(super) cleared: &'a str,
    pub(super) end: End<'a>,
}

impl<'a> Facts<'a> {
    pub(super) fn read(source: &mut Source<'a>) -> Option<Self> {
        source.skip(r#"{"revision":"#)?;
        source.number(LONG)?;
        source.skip(r#","generation":"#)?;
        let generation = inside(source.string()?);
        if !(1..=16).contains(&generation.len())
            || !generation.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return None;
        }
        let run = source.field(r#","run":"#, |it| it.number(SHORT))?;
        source.field(r#","run_token":"#, Source::string)?;
        let restart_count = source.field(r#","restart_count":"#, |it| it.number(SHORT))?;
        source.field(r#","boot_id":"#, Source::string)?;
        let created_at = source.field(r#","created_at":"#, Source::moment)?;
        let updated_at = source.field(r#","updated_at":"#, Source::moment)?;
        source.field(r#","wish_done":"#, |it| it.number(LONG))?;
        let cleared = source.field(r#","cleared":"#, |it| it.one_of(BOOL))?;
        let end = source.field(r#","state":"#, End::read)?;
        source.skip("}")?;
        Some(Self {
            run,
            restart_count,
            created_at,
            updated_at,
            cleared,
            end,
        })
    }
}

pub(super) struct End<'a> {
    pub(super) status: TaskStatus,
    pub(super) reason: &'a str,
    pub(super) exit_code: &'a str,
    pub(super) signal: &'a str,
    pub(super) span: Span<'a>,
}

impl<'a> End<'a> {
    pub(super) fn read(source: &mut Source<'a>) -> Option<Self> {
        let (mut reason, mut exit_code, mut signal) = (NULL, NULL, NULL);
        let status = if source.skip(r#"{"exited":{"exit_code":"#).is_some() {
            exit_code = source.number(SHORT)?;
            TaskStatus::Exited
        } else {
            source.skip(r#"{"killed":{"reason":"#)?;
            reason = source.one_of(&[
                r#""stop_requested""#,
                r#""timed_out""#,
                r#""idle""#,
                r#""owner_gone""#,
                r#""out_of_memory""#,
                r#""unhealthy""#,
                r#""signalled""#,
            ])?;
            if source.skip(r#","exit":{"signal":"#).is_some() {
                signal = source.one_of(SIGNALS)?;
            } else {
                source.skip(r#","exit":{"code":"#)?;
                exit_code = source.number(SHORT)?;
            }
            source.skip("}")?;
            TaskStatus::Killed
        };
        let span = source.field(r#","span":"#, Span::read)?;
        source.skip("}}")?;
        Some(Self {
            status,
            reason,
            exit_code,
            signal,
            span,
        })
    }
}

pub(super) struct Span<'a> {
    pub(super) started_at: &'a str,
    pub(super) exited_at: &'a str,
    pub(super) duration_ms: &'a str,
}

impl<'a> Span<'a> {
    pub(super) fn read(source: &mut Source<'a>) -> Option<Self> {
        let started_at = source.field(r#"{"started_at":"#, Source::moment)?;
        let exited_at = source.field(r#","exited_at":"#, |it| it.or_null(Source::moment))?;
        let duration_ms = source.field(r#","duration_ms":"#, Source::count)?;
        source.skip("}")?;
        Some(Self {
            started_at,
            exited_at,
            duration_ms,
        })
    }
}

pub(super) struct Spec<'a> {
    pub(super) name: &'a str,
    pub(super) command: &'a str,
    pub(super) args: &'a str,
    pub(super) shell: &'a str,
    pub(super) workdir: &'a str,
    pub(super) env: Vec<&'a str>,
    pub(super) env_file: &'a str,
    pub(super) inherit_env: &'a str,
    pub(super) tags: Strings<'a>,
    pub(super) parent_session_id: &'a str,
    pub(super) notify_on_exit: &'a str,
    pub(super) stop: &'a str,
    pub(super) leftovers: &'a str,
    pub(super) limits: &'a str,
    pub(super) restart: &'a str,
    pub(super) timeout_ms: &'a str,
    pub(super) idle_timeout_ms: &'a str,
    pub(super) ttl_ms: &'a str,
    pub(super) stdin: &'a str,
}

impl<'a> Spec<'a> {
    pub(super) fn read(source: &mut Source<'a>) -> Option<Self> {
        let name = source.field(r#"{"name":"#, |it| it.or_null(Source::string))?;
        source.skip(r#","program":"#)?;
        let (mut command, mut args, mut shell) = (NULL, "[]", NULL);
        if source.skip(r#"{"shell":"#).is_some() {
            shell = source.string()?;
        } else {
            command = source.field(r#"{"direct":{"command":"#, Source::string)?;
            args = source.field(r#","args":"#, Source::strings)?.text;
            source.skip("}")?;
        }
        source.skip("}")?;
        let spec = Self {
            name,
            command,
            args,
            shell,
            workdir: source.field(r#","workdir":"#, Source::string)?,
            env: source.field(r#","env":"#, Source::names)?,
            inherit_env: source.field(r#","inherit_env":"#, |it| it.one_of(BOOL))?,
            env_file: source.field(r#","env_file":"#, |it| it.or_null(Source::string))?,
            tags: source.field(r#","tags":"#, Source::strings)?,
            parent_session_id: source
                .field(r#","parent_session_id":"#, |it| it.or_null(Source::string))?,
            notify_on_exit: source.field(r#","notify_on_exit":"#, |it| it.one_of(BOOL))?,
            stop: source.field(r#","stop":"#, |it| it.all_of(Source::stop))?,
            leftovers: source.field(r#","leftovers":"#, |it| {
                it.one_of(&[r#""stop""#, r#""wait""#])
            })?,
            limits: source.field(r#","stderr":"merge","limits":"#, |it| {
                it.all_of(Source::limits)
            })?,
            restart: source.field(r#","restart":"#, |it| it.all_of(Source::restart))?,
            timeout_ms: source.field(r#","timeout_ms":"#, Source::count)?,
            idle_timeout_ms: source.field(r#","idle_timeout_ms":"#, Source::count)?,
            ttl_ms: source.field(r#","ttl_ms":"#, Source::count)?,
            stdin: source.field(r#","stdin":"#, |it| it.one_of(&[r#""null""#, r#""open""#]))?,
        };
        // What else there may be comes behind.
        source.skip("}")?;
        Some(spec)
    }
}
