//! What is known of a run while its lines come in.

/// Takes what a reader finds.
pub(crate) struct Run;
