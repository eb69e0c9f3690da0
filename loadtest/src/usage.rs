//! What processes cost: processor time and memory of a program and everything it started, from `/proc`.

use std::collections::HashMap;
use std::time::Duration;

/// The processes of a program, by the one that was started.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    /// Who was started.
    pub root: u32,
}

impl Tree {
    /// Processor time so far, of those that have ended too.
    #[must_use]
    pub fn processor_time(self) -> Duration {
        self.members().into_iter().map(Stat::time).sum()
    }

    /// Processor time of the root alone.
    #[must_use]
    pub fn own_processor_time(self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.root)).ok();
        stat.and_then(|text| Stat::parse(&text)).map_or(Duration::ZERO, Stat::time)
    }

    /// Memory that is present, in KiB: resident, and resident with what is shared counted in proportion.
    #[must_use]
    pub fn memory_kib(self) -> (u64, u64) {
        let sum = |file: &str, line: &str| {
            let of = |pid: u32| labelled(&std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?, line);
            self.members().iter().filter_map(|stat| of(stat.pid)).sum::<u64>()
        };
        (sum("status", "VmRSS:"), sum("smaps_rollup", "Pss:"))
    }

    /// The root and all its descendants.
    fn members(self) -> Vec<Stat> {
        let all: HashMap<u32, Stat> = processes().into_iter().map(|stat| (stat.pid, stat)).collect();
        let belongs = |mut pid: u32| loop {
            if pid == self.root {
                return true;
            }
            match all.get(&pid) {
                Some(stat) if stat.parent != pid => pid = stat.parent,
                _ => return false,
            }
        };
        all.values().copied().filter(|stat| belongs(stat.pid)).collect()
    }
}

fn processes() -> Vec<Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// User and system time, of children that were waited for too.
    ticks: u64,
}

impl Stat {
    fn time(self) -> Duration {
        Duration::from_millis(self.ticks * 1000 / TICKS_PER_SECOND)
    }

    /// A line of `/proc/PID/stat`. The name in parentheses may hold anything, also parentheses.
    fn parse(text: &str) -> Option<Self> {
        let pid = text.split(' ').next()?.parse().ok()?;
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        let times = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
        Some(Self { pid, parent, ticks: times.sum::<Result<u64, _>>().ok()? })
    }
}

/// The number behind a label at the beginning of a line.
fn labelled(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What Linux tells programs, whatever it counts in itself.
const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 10 20 3 4 20 0 9 0 100 1 1";
        assert_eq!(Stat::parse(text), Some(Stat { pid: 42, parent: 7, ticks: 37 }));
        assert_eq!(Stat::parse("42 (cut"), None);
        assert_eq!(labelled("VmPeak: 9 kB\nVmRSS:\t  77 kB\n", "VmRSS:"), Some(77));
    }

    #[test]
    fn this_process_has_memory() {
        let (resident, proportional) = Tree { root: std::process::id() }.memory_kib();
        assert!(resident > 0 && proportional > 0);
        assert_eq!(Tree { root: u32::MAX }.processor_time(), Duration::ZERO);
    }
}
