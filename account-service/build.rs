//! Lists the message files, so that a new one needs no line anywhere: every `locales/en/AREA.ftl` has its twin in each
//! other language, and `src/words.rs` builds them all in.

use std::fmt::Write as _;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=locales");
    let locales = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("locales");
    let files = std::fs::read_dir(locales.join("en")).expect("locales/en can be read");
    let mut names: Vec<_> = files.map(|file| file.expect("locales/en can be read").file_name()).collect();
    names.sort();
    let mut list = String::from("[\n");
    for name in names {
        let name = name.into_string().expect("the names in locales/en are UTF-8");
        let area = name.strip_suffix(".ftl").expect("locales/en holds .ftl files only");
        let (en, de) = (included("en", &name), included("de", &name));
        writeln!(list, "    Area {{ name: {area:?}, en: {en}, de: {de} }},").expect("writing to a String works");
    }
    list.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("areas.rs"), list).expect("OUT_DIR can be written");
}

/// Relative to where the package is when it is compiled: a checkout that is moved with its `target` still builds.
fn included(language: &str, name: &str) -> String {
    format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/locales/{language}/{name}\"))")
}
