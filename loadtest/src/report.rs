//! `loadtest report`: what `loadtest compare` and `loadtest scenario` have found, as one HTML page of plots and as text.
//!
//! The page stands alone: no scripts, nothing fetched. Each plot has a caption that says what is drawn, and a table with the
//! same numbers.

mod axis;
mod compare;
mod html;
mod plot;
pub(crate) mod results;
mod scenario;
pub(crate) mod statistics;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::results::{Machine, Results};

/// Settings of `loadtest report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results, one JSON document in each file.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write an HTML page there. Without it, tables are printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Read results, and write the page or print the tables.
#[expect(clippy::print_stdout, reason = "the tables belong on standard output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let results = args.files.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    match &args.out {
        Some(path) => std::fs::write(path, page(&results)).with_context(|| format!("cannot write {}", path.display())),
        None => {
            println!("{}", results.iter().map(text).collect::<Vec<_>>().join("\n\n"));
            Ok(())
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Results> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} does not hold results", path.display()))
}

/// A whole HTML page.
pub(crate) fn page(results: &[Results]) -> String {
    let mut body = String::new();
    for result in results {
        body += &html::heading(2, &title(result));
        body += &html::paragraph(&about(machine(result)));
        body += &match result {
            Results::Compare(found) => compare::html(found),
            Results::Scenario(found) => scenario::html(found),
        };
    }
    if results.is_empty() {
        body += &html::paragraph("There are no results.");
    }
    html::page("Results of the load tests", &body)
}

/// The same for a terminal.
pub(crate) fn text(results: &Results) -> String {
    let tables = match results {
        Results::Compare(found) => compare::text(found),
        Results::Scenario(found) => scenario::text(found),
    };
    format!("{}\n{}\n\n{tables}", title(results), about(machine(results)))
}

fn title(results: &Results) -> String {
    match results {
        Results::Compare(found) => format!("Comparison: {}", found.all_subjects().join(", ")),
        Results::Scenario(found) => format!("Scenario: {}", found.name),
    }
}

fn machine(results: &Results) -> &Machine {
    match results {
        Results::Compare(found) => &found.machine,
        Results::Scenario(found) => &found.machine,
    }
}

fn about(machine: &Machine) -> String {
    let Machine { cores, load_before, load_after, version } = machine;
    format!("MA Cloud {version} on {cores} cores; load average {load_before} before and {load_after} after.")
}

#[cfg(test)]
mod tests {
    use super::results::samples;
    use super::*;

    #[test]
    fn the_page_is_well_formed() {
        let results =
            [samples::comparison(), samples::scenario(), samples::nothing_compared(), samples::nothing_happened()];
        html::check(&page(&results)).unwrap();
        html::check(&page(&[])).unwrap();
        for result in results {
            html::check(&page(&[result])).unwrap();
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = page(&[samples::comparison(), samples::scenario()]);
        for forbidden in ["<script", "http:", "https:", "src=", "@import", "<link", "NaN", "inf%"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn names_are_text_and_no_markup() {
        let hostile =
            serde_json::to_string(&samples::comparison()).unwrap().replace("ours", "<script>alert('&')</script>");
        let page = page(&[serde_json::from_str(&hostile).unwrap()]);
        html::check(&page).unwrap();
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"));
    }

    #[test]
    fn every_figure_has_a_caption_and_a_table() {
        let page = page(&[samples::comparison(), samples::scenario()]);
        let figures = page.matches("<figure>").count();
        // Latency, processor time and rate of one load, ratios; latency, commands, homes, recovery and memory of a scenario.
        assert_eq!(figures, 9);
        assert_eq!(page.matches("<figcaption>").count(), figures);
        assert_eq!(page.matches("role=\"img\" aria-label=").count(), figures);
        let with_table = page.split("<figure>").skip(1).filter(|figure| {
            let figure = figure.split("</figure>").next().unwrap_or_default();
            figure.contains("<details") && figure.contains("<table>")
        });
        assert_eq!(with_table.count(), figures);
    }

    #[test]
    fn tables_are_printed_without_results_too() {
        assert!(
            text(&samples::comparison())
                .starts_with("Comparison: ours, theirs\nMA Cloud 0.1.0 on 2 cores; load average 0.1 ")
        );
        assert!(text(&samples::scenario()).starts_with("Scenario: a node is killed\n"));
        assert!(text(&samples::nothing_compared()).contains("Nothing was measured."));
        assert!(text(&samples::nothing_happened()).contains("Outcomes"));
    }

    #[test]
    fn files_are_read_and_the_page_is_written() {
        let folder = std::env::temp_dir().join(format!("loadtest-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, out) = (folder.join("found.json"), folder.join("report.html"));
        std::fs::write(&file, serde_json::to_string(&samples::scenario()).unwrap()).unwrap();
        run(&Args { files: vec![file.clone()], out: Some(out.clone()) }).unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), page(&[samples::scenario()]));
        std::fs::write(&file, "{}").unwrap();
        let error = run(&Args { files: vec![file], out: Some(out) }).unwrap_err();
        assert!(error.to_string().ends_with("found.json does not hold results"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
