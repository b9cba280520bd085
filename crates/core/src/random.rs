//! Randomness from the kernel, for names that must not repeat.

/// 32 random bits.
pub(crate) fn u32() -> u32 {
    // getrandom(2) fails only on kernels without it or before the pool is seeded at boot; going on
    // with a predictable name could hand one task's name to another, so there is no fallback.
    getrandom::u32().expect("the kernel gives random numbers")
}

/// 64 random bits as 16 hex digits.
pub(crate) fn hex16() -> String {
    let bits = getrandom::u64().expect("the kernel gives random numbers");
    format!("{bits:016x}")
}
