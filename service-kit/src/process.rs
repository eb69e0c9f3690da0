//! How this process is: memory, processor time and open files, as every program's metrics say it.

use rustix::process::{Resource, getrlimit};

/// Report them whenever metrics are read. Where there is no `/proc`, most are left out.
pub(crate) fn observe() {
    let meter = opentelemetry::global::meter("macloud.process");
    meter
        .u64_observable_gauge("macloud.process.memory")
        .with_unit("By")
        .with_description("Resident memory")
        .with_callback(|observer| resident_bytes().into_iter().for_each(|bytes| observer.observe(bytes, &[])))
        .build();
    meter
        .f64_observable_counter("macloud.process.cpu")
        .with_unit("s")
        .with_description("Processor time used, by the program and by the system for it")
        .with_callback(|observer| cpu_seconds().into_iter().for_each(|seconds| observer.observe(seconds, &[])))
        .build();
    meter
        .u64_observable_gauge("macloud.process.open_files")
        .with_description("Open files, connections among them")
        .with_callback(|observer| open_files().into_iter().for_each(|files| observer.observe(files, &[])))
        .build();
    meter
        .u64_observable_gauge("macloud.process.open_files_limit")
        .with_description("Files that may be open")
        .with_callback(|observer| {
            // Without a limit there is nothing to come near to.
            getrlimit(Resource::Nofile).current.into_iter().for_each(|limit| observer.observe(limit, &[]));
        })
        .build();
}

fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn cpu_seconds() -> Option<f64> {
    cpu_in(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// The 14th and 15th word of `proc_pid_stat(5)`. The second is a name in brackets, which may hold anything.
fn cpu_in(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut words = after_name.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (words.next()?.ok()?, words.next()?.ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

fn open_files() -> Option<u64> {
    // Newer kernels (6.2) say how many there are; older ones have them counted, which takes its time where there are many.
    let directory = std::path::Path::new("/proc/self/fd");
    match std::fs::metadata(directory).ok()?.len() {
        0 => Some(std::fs::read_dir(directory).ok()?.count() as u64),
        files => Some(files),
    }
}

/// `USER_HZ`, which Linux promises to programs whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_process_is_read() {
        assert_eq!(resident_in("Name:\tx\nVmRSS:\t   2048 kB\nThreads:\t1\n"), Some(2 * 1024 * 1024));
        assert_eq!(resident_in("Name:\tkthreadd\n"), None);
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 1 1 1";
        assert_eq!(cpu_in(stat), Some(2.0));
        assert_eq!(cpu_in("7 (a"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_open_files() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
        let before = open_files().unwrap();
        let held: Vec<_> = (0..64).map(|_| std::fs::File::open("/proc/self/status").unwrap()).collect();
        assert!(open_files().unwrap() >= before + 32, "of 64 more, {before} before");
        drop(held);
    }
}
