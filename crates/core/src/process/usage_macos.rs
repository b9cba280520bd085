//! What processes use, from libproc: see `libproc.h` and `sys/proc_info.h`.
#![allow(unsafe_code, reason = "system calls that no crate in use wraps")]

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::mem::MaybeUninit;

use super::Usage;

/// What one process uses; `None` when it has ended. The time of children that it has waited for is
/// part of what is told for each.
pub(crate) fn usage(pid: i32) -> Option<Usage> {
    let mut told = MaybeUninit::<libc::rusage_info_v2>::zeroed();
    // SAFETY: this flavor fills a `rusage_info_v2`, and the buffer is one.
    let result =
        unsafe { libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V2, told.as_mut_ptr().cast()) };
    if result != 0 {
        return None;
    }
    // SAFETY: filled whole, and zeros were a value before.
    let told = unsafe { told.assume_init() };
    let units = [
        told.ri_user_time,
        told.ri_system_time,
        told.ri_child_user_time,
        told.ri_child_system_time,
    ];
    Some(Usage {
        cpu_ms: nanoseconds(units.into_iter().fold(0, u64::saturating_add)) / 1_000_000,
        memory_bytes: told.ri_resident_size,
    })
}

/// Times are told in the units of the processor's clock.
fn nanoseconds(units: u64) -> u64 {
    let mut base = Timebase { numer: 1, denom: 1 };
    // SAFETY: fills the structure that it is given.
    let known = unsafe { mach_timebase_info(&raw mut base) } == 0 && base.denom > 0;
    let (numer, denom) = if known {
        (base.numer, base.denom)
    } else {
        (1, 1)
    };
    let nanoseconds = u128::from(units) * u128::from(numer) / u128::from(denom);
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}

/// `mach_timebase_info_data_t` of `mach/mach_time.h`.
#[repr(C)]
struct Timebase {
    numer: u32,
    denom: u32,
}

// SAFETY: as `mach/mach_time.h` declares it.
unsafe extern "C" {
    fn mach_timebase_info(info: *mut Timebase) -> c_int;
}

/// Which ports processes listen on cannot be told: it would take structures of the kernel that no
/// crate in use has.
pub(crate) fn listening_ports(_pids: &[i32]) -> Option<BTreeSet<u16>> {
    None
}
