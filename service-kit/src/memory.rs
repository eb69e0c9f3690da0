//! Memory that is freed goes back to the system.
//!
//! glibc keeps up to eight heaps per core, and once a large block was freed takes the next one of its size from them. A server
//! that hashes passwords (19 MiB each, for a moment) then holds more than twice of what it uses: `mallopt(3)`.

/// Ask for no more heaps than cores, and for large blocks from the system itself. To be called before there are threads.
/// Does nothing where the C library is another one than glibc.
pub fn give_back_what_is_freed() {
    #[cfg(target_env = "gnu")]
    {
        const LARGE: libc::c_int = 1 << 20;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let heaps = libc::c_int::try_from(cores).unwrap_or(libc::c_int::MAX);
        for (parameter, value) in
            [(libc::M_ARENA_MAX, heaps), (libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE)]
        {
            #[expect(unsafe_code, reason = "there is no safe form of it")]
            // SAFETY: takes two numbers and no memory of ours; it locks what it changes.
            let _ = unsafe { libc::mallopt(parameter, value) };
        }
    }
}
