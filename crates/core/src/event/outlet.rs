//! The way of frames to whoever takes them.

use std::ops::ControlFlow;

use super::{Frame, LineBlock};
use crate::clock::Deadline;

/// Where frames go.
pub trait FrameSink {
    /// Takes one frame. [`ControlFlow::Break`] ends the stream: nobody is reading any more.
    fn frame(&mut self, frame: &Frame<'_>) -> ControlFlow<()>;

    /// Takes the frames of many lines.
    fn lines(&mut self, block: &LineBlock<'_>) -> ControlFlow<()> {
        block.frames().try_for_each(|frame| self.frame(&frame))
    }

    /// Everything that can be told for now has been told: whoever collects passes it on.
    fn flush(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The frames of one stream on their way out, counted.
pub(crate) struct Outlet<'a> {
    sink: &'a mut dyn FrameSink,
    sequence: u64,
    deadline: Deadline,
    asked: u32,
    is_late: bool,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(sink: &'a mut dyn FrameSink) -> Self {
        Self {
            sink,
            sequence: 0,
            deadline: Deadline::NEVER,
            asked: 0,
            is_late: false,
        }
    }

    /// From then on whoever gives much stops in the middle.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Whether it is time to stop. To be asked for each line: the clock is looked at now and then.
    pub(crate) fn is_late(&mut self) -> bool {
        self.asked = self.asked.wrapping_add(1);
        if self.asked.is_multiple_of(256) {
            self.is_late = self.deadline.has_passed();
        }
        self.is_late
    }

    pub(crate) fn send(&mut self, mut frame: Frame<'_>) -> ControlFlow<()> {
        frame.sequence = self.sequence;
        self.sequence += 1;
        self.sink.frame(&frame)
    }

    pub(crate) fn send_lines(&mut self, mut block: LineBlock<'_>) -> ControlFlow<()> {
        self.is_late |= self.deadline.has_passed();
        block.set_sequence(self.sequence);
        self.sequence += block.count();
        self.sink.lines(&block)
    }

    pub(crate) fn flush(&mut self) -> ControlFlow<()> {
        self.sink.flush()
    }
}
