//! This process's own limits.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process have as many descriptors as it may: whoever watches many tasks needs a few for
/// each. Only for a program that executes nothing else afterwards: what it executed would inherit
/// the limit, and programs that use select(2) break above 1024.
pub fn allow_many_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // macOS has a lower bound of its own besides; then it stays as it is.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
