//! macOS: libproc, sysctl, kqueue. There is no subreaper, and the environment of system
//! binaries is hidden, so what double-forks into a new session may escape; see `proc_info.h`.
