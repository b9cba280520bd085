//! A translator, and which run it is told of.

use std::io;

use crate::event::{EventData, JournalEntry, Run, RunEnd, StreamName, Told, Translate};
use crate::log::{LogReader, LogStream, Position, Unfinished};
use crate::store::TaskDir;
use crate::task::Reason;

/// A translator, and which run it is told of.
pub(in crate::op) struct Telling<'a> {
    translator: Box<dyn Translate + 'a>,
    /// Whether a run has begun whose end has not been told.
    is_open: bool,
    /// The last run that has begun, and its piece of work.
    run: u32,
    work: u64,
    /// Where it begins in the log of standard output.
    begins_at: u64,
    /// So much of that log has been freed.
    pub freed: u64,
}

/// Up to where what is stored is told.
pub(in crate::op) struct Until<'a> {
    /// These events.
    pub entries: &'a [JournalEntry],
    /// And the lines behind them up to there.
    pub offset: &'a dyn Fn(LogStream, u64) -> u64,
    pub unfinished: Unfinished,
}

impl<'a> Telling<'a> {
    pub(in crate::op) fn new(translator: Box<dyn Translate + 'a>) -> Self {
        Self {
            translator,
            is_open: false,
            run: 0,
            work: 0,
            begins_at: 0,
            freed: 0,
        }
    }

    /// Tells everything from the beginning.
    pub(in crate::op) fn everything(
        &mut self,
        mut logs: LogReader,
        dir: &TaskDir,
        until: &Until<'_>,
        take: &mut dyn FnMut(Told),
    ) -> io::Result<()> {
        for stream in [LogStream::Main, LogStream::Stderr] {
            logs.seek(stream, Position::default());
        }
        self.freed = logs.freed_of(LogStream::Main, dir);
        let mut told = Vec::new();
        for entry in until.entries {
            let unfinished = match run_end(&entry.event) {
                Some(_) => Unfinished::GiveAll,
                None => Unfinished::Wait,
            };
            let offset = |stream, _| match stream {
                LogStream::Main => entry.log_offset,
                LogStream::Stderr => entry.stderr_offset,
            };
            self.lines(&mut logs, dir, &offset, unfinished, take)?;
            self.before(&entry.event, entry.run, &mut told);
            told.drain(..).for_each(&mut *take);
            self.behind(&entry.event, entry.log_offset);
        }
        self.lines(&mut logs, dir, until.offset, until.unfinished, take)
    }

    fn lines(
        &mut self,
        logs: &mut LogReader,
        dir: &TaskDir,
        offset: &dyn Fn(LogStream, u64) -> u64,
        unfinished: Unfinished,
        take: &mut dyn FnMut(Told),
    ) -> io::Result<()> {
        let mut told = Vec::new();
        while let Some(next) = logs.find(dir, offset, unfinished)? {
            let shown = logs.give(&next);
            self.line(next.stream, shown.text, &mut told);
            told.drain(..).for_each(&mut *take);
        }
        Ok(())
    }

    /// Tells a line of the present run; between runs nobody writes.
    pub(in crate::op) fn line(&mut self, stream: LogStream, text: &str, told: &mut Vec<Told>) {
        if self.is_open {
            self.translator.line(StreamName(stream), text, told);
        }
        if stream == LogStream::Stderr {
            told.clear();
        }
    }

    /// Tells the end of a run, before the event that it is, or that shows that it must have been. `run`:
    /// which one the event is of.
    pub(in crate::op) fn before(&mut self, event: &EventData, run: u32, told: &mut Vec<Told>) {
        let end = match event {
            // Nobody could put the end of the run before on record.
            EventData::Started { .. } => Some(RunEnd::default()),
            event => run_end(event),
        };
        // One that was never executed has an end, too, unless a supervisor was lost in it: it may still
        // begin.
        if let Some(end) = &end
            && !self.is_open
            && run > self.run
            && !matches!(event, EventData::Started { .. })
            && !is_lost(end)
        {
            self.begin(run, self.work + 1);
        }
        if let Some(mut end) = end
            && std::mem::take(&mut self.is_open)
        {
            end.is_cut = self.freed > self.begins_at;
            self.translator.end(&end, told);
        }
    }

    /// Tells the beginning of a run, behind its event and so much of the log.
    pub(in crate::op) fn behind(&mut self, event: &EventData, log_offset: u64) {
        if let EventData::Started { run, work, .. } = event {
            self.begin(*run, *work);
            self.begins_at = log_offset;
        }
    }

    fn begin(&mut self, number: u32, work: u64) {
        self.is_open = true;
        (self.run, self.work) = (number, work);
        self.translator.begin(Run { number, work });
    }
}

fn is_lost(end: &RunEnd) -> bool {
    matches!(end.reason, Some(Reason::Failed(reason)) if reason.is_of_a_lost_supervisor())
}

/// How the run ended that this event is the end of.
pub(in crate::op) fn run_end(event: &EventData) -> Option<RunEnd> {
    let end = |exit_code, signal, reason| RunEnd {
        exit_code,
        signal,
        reason,
        problem: None,
        is_cut: false,
    };
    match event {
        EventData::Restarting {
            exit_code,
            signal,
            reason,
            ..
        } => Some(end(*exit_code, *signal, *reason)),
        EventData::Exited {
            exit_code,
            signal,
            reason,
            ..
        } => Some(end(*exit_code, *signal, reason.map(Reason::Exited))),
        EventData::Killed {
            exit_code,
            signal,
            reason,
            ..
        } => Some(end(*exit_code, *signal, Some(Reason::Killed(*reason)))),
        EventData::Failed {
            reason, problem, ..
        } => Some(RunEnd {
            problem: Some(problem.clone()),
            ..end(None, None, Some(Reason::Failed(*reason)))
        }),
        _ => None,
    }
}
