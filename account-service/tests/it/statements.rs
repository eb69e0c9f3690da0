//! The list of what an OAuth server must do stays true: every test that it names is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn every_statement_names_tests_that_exist() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(here.join("tests/STATEMENTS.md")).unwrap();
    let (ours, processes) = (functions(&here.join("tests/it")), functions(&here.join("../standalone/tests/it")));
    let judges = std::fs::read_to_string(here.join("../infra/judge")).unwrap();
    let mut labels = BTreeSet::new();
    for line in list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| | Statement")) {
        let [_, names, statement, tests, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("not a line of the table: {line}")
        };
        assert!(!statement.is_empty());
        for label in names.split_whitespace() {
            assert!(labels.insert(label.to_owned()), "{label} is there twice");
        }
        for test in tests.split(", ") {
            let exists = match test.split_once(' ') {
                None => ours.contains(test),
                Some(("process", name)) => processes.contains(name),
                Some(("judge", name)) => judges.contains(&format!("    \"{name}\": ([")),
                Some(_) => false,
            };
            assert!(exists, "{test:?}, which should show that {statement:?}, does not exist");
        }
    }
    assert!(labels.len() > 90, "{labels:?}");
}

/// The names of all functions in the files of a directory.
fn functions(directory: &Path) -> BTreeSet<String> {
    let files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    let sources = files.into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let names = sources.flat_map(|source| {
        let after =
            source.split(" fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap_or_default().to_owned());
        after
            .chain(
                source.split("\nfn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap_or_default().to_owned()),
            )
            .collect::<Vec<_>>()
    });
    names.collect()
}
