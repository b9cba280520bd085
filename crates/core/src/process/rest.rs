//! Going to sleep for long, with as little memory as can be: what it took to get there is given back
//! first. A supervisor that only waits keeps a page of its stack, and one of its code.
#![allow(
    unsafe_code,
    reason = "giving back pages, the own code among them, and a system call from there"
)]

#[cfg(not(target_os = "linux"))]
use nix::poll::poll;
use nix::poll::{PollFd, PollTimeout};

/// As poll(2), after giving back all memory whose content does not matter or is read from a file
/// again. What is needed again afterwards is mapped again, from the page cache.
pub(crate) fn poll_for_long(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> nix::Result<i32> {
    os::poll_for_long(fds, timeout)
}

/// Not worth it where the system compresses memory.
#[cfg(not(target_os = "linux"))]
mod os {
    pub(super) use super::poll as poll_for_long;
}

#[cfg(target_os = "linux")]
mod os {
    use std::ops::Range;
    use std::time::Duration;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollTimeout};
    use nix::sys::time::TimeSpec;

    use super::super::Arena;

    const PAGE: usize = 4096;

    #[inline(never)]
    pub(super) fn poll_for_long(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> nix::Result<i32> {
        release_stack();
        Arena::give_back();
        let mut code = 0..0;
        // SAFETY: it is called with what is loaded, the program itself first, and keeps nothing.
        unsafe { libc::dl_iterate_phdr(Some(release_program), (&raw mut code).cast()) };
        // SAFETY: the descriptors live as long as this call, and `code` is read from a file again.
        let answer = unsafe { release_and_poll(&code, fds, timeout) };
        i32::try_from(answer)
            .ok()
            .filter(|answer| *answer >= 0)
            .ok_or_else(|| Errno::from_raw(-answer as i32))
    }

    fn release_stack() {
        const DEEPEST: usize = 256 << 10;
        /// What this function and those that it calls use of the stack, by far.
        const OWN_FRAME: usize = 1024;
        let marker = 0_u8;
        let top = (std::ptr::from_ref(&marker).addr() - OWN_FRAME) & !(PAGE - 1);
        // SAFETY: below this frame (with room for the red zone and for the calls themselves) nothing
        // on the stack is in use. The range ends where the stack has not grown to, which the call
        // reports and we ignore. No signal handler runs: all signals are blocked.
        unsafe { advise(&(top - DEEPEST..top), libc::MADV_DONTNEED) };
    }

    /// # Safety
    /// The advice does no harm there: the content of pages that are given back does not matter any
    /// more, or is read from a file again.
    unsafe fn advise(range: &Range<usize>, advice: libc::c_int) {
        let from = std::ptr::without_provenance_mut(range.start);
        // SAFETY: the caller's promise.
        unsafe { libc::madvise(from, range.len(), advice) };
    }

    /// Releases what nobody writes to. What is executed at this moment is left to the caller, whom
    /// `code` tells where it is.
    unsafe extern "C" fn release_program(
        program: *mut libc::dl_phdr_info,
        _: libc::size_t,
        code: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader's own description, which is there as long as the program is, and what
        // `poll_for_long` hands over.
        let (base, segments, code) = unsafe {
            let program = &*program;
            let count = usize::from(program.dlpi_phnum);
            (
                program.dlpi_addr as usize,
                std::slice::from_raw_parts(program.dlpi_phdr, count),
                &mut *code.cast::<Range<usize>>(),
            )
        };
        let here = asleep as *const () as usize;
        for segment in segments {
            if segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0 {
                let begin = base + segment.p_vaddr as usize;
                let end = (begin + segment.p_memsz as usize) & !(PAGE - 1);
                let begin = begin.next_multiple_of(PAGE);
                let pages = begin..end.max(begin);
                if pages.contains(&here) {
                    *code = pages;
                } else {
                    // SAFETY: the same bytes are read from the file again.
                    unsafe { advise(&pages, libc::MADV_DONTNEED) };
                }
            }
        }
        // What else is loaded, in a program that is not static, is not ours.
        1
    }

    /// Nothing of the code is executed between its release and the sleep but the few instructions of
    /// `asleep`, so that only those are mapped again.
    ///
    /// # Safety
    /// `code` can be read from a file again.
    unsafe fn release_and_poll(
        code: &Range<usize>,
        fds: &mut [PollFd<'_>],
        timeout: PollTimeout,
    ) -> isize {
        /// More than they take.
        const LENGTH: usize = 256;
        // A page that differs in anything from those around it is mapped alone. Otherwise as much is
        // as the page cache has in one piece, which may be 2 MiB (Linux 6.18).
        let here = asleep as *const () as usize;
        let pages = here & !(PAGE - 1)..(here + LENGTH).next_multiple_of(PAGE);
        // SAFETY: it changes in which pieces it is mapped.
        unsafe { advise(&pages, libc::MADV_NOHUGEPAGE) };
        let millis = u64::try_from(i32::from(timeout)).ok();
        let mut time = millis.map(|millis| TimeSpec::from_duration(Duration::from_millis(millis)));
        let time = time.as_mut().map_or(std::ptr::null_mut(), |time| {
            std::ptr::from_mut(time.as_mut())
        });
        // SAFETY: the caller's promise; a PollFd is a pollfd, and `time` is null or a timespec.
        unsafe {
            asleep(
                code.start,
                code.len(),
                fds.as_mut_ptr().cast(),
                fds.len(),
                time,
            )
        }
    }

    /// madvise(2) and ppoll(2), one right after the other. A negative answer is an errno.
    #[cfg(target_arch = "x86_64")]
    #[inline(never)]
    unsafe extern "C" fn asleep(
        code: usize,
        length: usize,
        fds: *mut libc::pollfd,
        count: usize,
        time: *mut libc::timespec,
    ) -> isize {
        let answer;
        // SAFETY: two system calls, whose arguments are the caller's promise; they change the memory
        // that these tell of, and the registers that are named.
        unsafe {
            std::arch::asm!(
                "syscall",
                "mov rdi, {fds}",
                "mov rsi, {count}",
                "mov rdx, {time}",
                "xor r10d, r10d",
                "xor r8d, r8d",
                "mov eax, {ppoll}",
                "syscall",
                fds = in(reg) fds,
                count = in(reg) count,
                time = in(reg) time,
                ppoll = const libc::SYS_ppoll,
                inlateout("rax") libc::SYS_madvise as isize => answer,
                inout("rdi") code => _,
                inout("rsi") length => _,
                inout("rdx") libc::MADV_DONTNEED as isize => _,
                out("r10") _,
                out("r8") _,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        answer
    }

    /// madvise(2) and ppoll(2), one right after the other. A negative answer is an errno.
    #[cfg(target_arch = "aarch64")]
    #[inline(never)]
    unsafe extern "C" fn asleep(
        code: usize,
        length: usize,
        fds: *mut libc::pollfd,
        count: usize,
        time: *mut libc::timespec,
    ) -> isize {
        let answer;
        // SAFETY: two system calls, whose arguments are the caller's promise; they change the memory
        // that these tell of, and the registers that are named.
        unsafe {
            std::arch::asm!(
                "svc #0",
                "mov x0, {fds}",
                "mov x1, {count}",
                "mov x2, {time}",
                "mov x3, xzr",
                "mov x4, xzr",
                "mov x8, {ppoll}",
                "svc #0",
                fds = in(reg) fds,
                count = in(reg) count,
                time = in(reg) time,
                ppoll = const libc::SYS_ppoll,
                inlateout("x0") code as isize => answer,
                inout("x1") length => _,
                inout("x2") libc::MADV_DONTNEED as isize => _,
                out("x3") _,
                out("x4") _,
                inout("x8") libc::SYS_madvise as isize => _,
                options(nostack),
            );
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::poll::PollFlags;
    use std::os::fd::AsFd;

    #[test]
    fn it_answers_as_poll_does() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let ask = |timeout: u16| {
            let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            let told = poll_for_long(&mut fds, PollTimeout::from(timeout));
            (told, fds[0].any())
        };
        assert_eq!(ask(0), (Ok(0), Some(false)));
        assert_eq!(ask(1), (Ok(0), Some(false)));
        nix::unistd::write(&writer, b"x").unwrap();
        assert_eq!(ask(60_000), (Ok(1), Some(true)));
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll_for_long(&mut fds, PollTimeout::NONE), Ok(1));
        // More than there may be descriptors.
        let mut many = vec![PollFd::new(reader.as_fd(), PollFlags::POLLIN); 5_000_000];
        let told = poll_for_long(&mut many, PollTimeout::ZERO);
        assert!(
            matches!(told, Err(Errno::EINVAL) | Ok(5_000_000)),
            "{told:?}"
        );
    }
}
