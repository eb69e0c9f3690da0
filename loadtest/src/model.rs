//! `loadtest model`: the relays, their homes and their callers in virtual time, under everything that can go wrong. The machines
//! are the real ones (link, command memory, redialling, the directory in memory, the way of a call); sockets, clocks and the
//! processes around them are made here, and everything follows from one seed, so that a failure can be run again.
//!
//! Checked for every command: exactly one answer, before its deadline; executed at most once; not executed at all after it was
//! said not to be sent; never given to a session older than one that its caller had heard of, unless the directory names it; nor to
//! one that another has replaced in the directory longer ago than a lease, by a node that could ask. And of the directory: that it
//! keeps the newest session for as long as that stands. Each of these can be seen to fail (`--without`).

mod node;
mod rule;
mod world;

use anyhow::bail;
use clap::ValueEnum;
use macloud_service_kit::random;

use rule::Rule;
use world::{Tally, World};

/// Settings of `loadtest model`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Commands in all.
    #[arg(long, default_value_t = 100_000, value_name = "COUNT")]
    commands: u64,
    /// Commands in each world; one world follows the other, each from the next seed.
    #[arg(long, default_value_t = 2_000, value_name = "COUNT")]
    each: u64,
    /// The first seed. By default a random one; whatever fails names its own.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Nodes in each world.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    nodes: usize,
    /// Homes in each world.
    #[arg(long, default_value_t = 6, value_name = "COUNT")]
    homes: usize,
    /// Break this rule. The run must fail then.
    #[arg(long, value_enum, value_name = "RULE")]
    without: Option<Rule>,
}

/// Run world after world.
#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let first = args.seed.unwrap_or_else(|| random::up_to(u64::MAX >> 16));
    let mut total = Tally::default();
    let mut seed = first;
    while total.commands < args.commands {
        let each = args.each.min(args.commands - total.commands);
        match World::run(seed, args.nodes, args.homes, each, args.without) {
            Ok(tally) => total.add(&tally),
            Err(broken) => bail!("seed {seed}: {broken}\nrun it again: {}", again(args, seed, each)),
        }
        seed += 1;
    }
    println!("{} worlds from seed {first}: {total}", seed - first);
    Ok(())
}

/// The command that runs this world alone.
fn again(args: &Args, seed: u64, each: u64) -> String {
    let Args { nodes, homes, .. } = args;
    let without = args.without.as_ref().and_then(ValueEnum::to_possible_value);
    let without = without.map_or_else(String::new, |rule| format!(" --without {}", rule.get_name()));
    format!("loadtest model --seed {seed} --commands {each} --each {each} --nodes {nodes} --homes {homes}{without}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_each_command_has_one_answer_and_nothing_runs_twice() {
        let mut total = Tally::default();
        for seed in 0..6 {
            match World::run(seed, 3, 5, LONG, None) {
                Ok(tally) => total.add(&tally),
                Err(broken) => panic!("seed {seed}: {broken}"),
            }
        }
        // Enough of each kind that the checks mean something.
        assert!(total.delivered > 2_000 && total.not_sent > 20 && total.unknown > 20 && total.crossed > 500, "{total}");
        assert!(total.helped > 100, "{total}");
    }

    #[test]
    fn a_seed_replays() {
        let run = || World::run(7, 3, 5, 300, None).unwrap().to_string();
        assert_eq!(run(), run());
    }

    #[test]
    fn each_rule_that_is_broken_is_noticed() {
        for rule in Rule::value_variants() {
            let mut seen = (0..MOST_WORLDS).filter_map(|seed| World::run(seed, 3, 5, LONG, Some(*rule)).err());
            let found = seen.next().unwrap_or_else(|| panic!("{rule:?} is broken, and nobody notices"));
            assert!(found.contains(noticed_as(*rule)), "{rule:?}: {found}");
        }
    }

    /// A minute: leases and what follows from them come to their end.
    const LONG: u64 = 3_000;
    /// Most are noticed in the first one; that a lease has ended matters only to a node that slept, and was left meanwhile.
    const MOST_WORLDS: u64 = 60;

    fn noticed_as(rule: Rule) -> &'static str {
        match rule {
            Rule::HomesRemember | Rule::IdsStay => "executed 2 times",
            Rule::GoodbyesCompare => "the directory has lost session",
            Rule::PlacesCompare => "stands",
            Rule::ReplacedLetGo => "had heard of",
            Rule::LeasesEnd => "was used ",
            Rule::CallersAreHeard => "was used for a caller who knew of",
            Rule::WrittenIsRemembered | Rule::LeftIsRemembered => "was said not to be sent",
            Rule::AnswersOnce => "was answered twice by one node",
            Rule::CallersGiveUp => "was answered twice, or late",
        }
    }
}
