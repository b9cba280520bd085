//! A line of a log, as far as every provider's is alike.

use std::marker::PhantomData;

/// A JSON object with a `type`.
pub(crate) struct Line<'a>(PhantomData<&'a str>);
