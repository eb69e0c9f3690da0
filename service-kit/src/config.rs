//! One definition of a setting, three ways to give it: flag, environment variable, line in a TOML file, in that order.
//!
//! A program defines its settings once, as clap arguments. This module adds to every argument `long-name` the variable
//! `PREFIX_LONG_NAME`, and takes values from `--config FILE` as defaults: `long_name = value` at the top level, or under
//! a table named like the subcommand. All values pass through clap's own parsers, so an error reads the same
//! wherever the value came from.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, FromArgMatches};
use toml::{Table, Value};

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Clap's own word: unknown flag, bad value, `--help`. Prints itself with `exit()`.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {path} is not valid TOML: {source}")]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The file names something that is no setting.
    #[error("the configuration file {path} sets {key:?}, which is not a setting of this program")]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
    },
    /// The value is no text where text is meant: `state-dir = 5` is a mistake and no directory.
    #[error("the configuration file {path} gives {key:?} a number or true/false; a text in quotes is expected")]
    Text {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
    },
    /// The value has a form that no setting takes.
    #[error(
        "the configuration file {path} gives {key:?} a table or date; a text, number, true/false or list of texts is expected"
    )]
    Form {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
    },
}

impl ConfigError {
    /// Print what is wrong (or the help that was asked for) and leave: 0 for help, 2 for bad settings.
    pub fn exit(self) -> ! {
        match self {
            Self::Arguments(error) => error.exit(),
            other => clap::Error::raw(clap::error::ErrorKind::Io, format!("{other}\n")).exit(),
        }
    }
}

/// Parse `args` (the program's name first). `prefix` is that of the environment variables, such as `MACLOUD`.
///
/// # Errors
/// See [`ConfigError`].
pub fn parse<T: CommandFactory + FromArgMatches>(
    prefix: &str,
    args: impl IntoIterator<Item = OsString>,
) -> Result<T, ConfigError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = with_environment(T::command(), prefix);
    if let Some(path) = config_path(&args, prefix) {
        let table = read(&path)?;
        command = with_defaults(command, &table, &path)?;
    }
    let mut matches = command.try_get_matches_from(args)?;
    Ok(T::from_arg_matches_mut(&mut matches)?)
}

fn config_path(args: &[OsString], prefix: &str) -> Option<PathBuf> {
    let mut args = args.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    std::env::var_os(format!("{prefix}_CONFIG")).map(PathBuf::from)
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Toml { path: path.into(), source: Box::new(source) })
}

/// Under this heading help pages list what every subcommand takes.
const GENERAL: &str = "General options";

fn with_environment(command: Command, prefix: &str) -> Command {
    let command = command.mut_args(|arg| if arg.is_global_set() { arg.help_heading(GENERAL) } else { arg });
    let command = command.mut_args(|arg| match arg.get_long() {
        Some("help" | "version") | None => arg,
        Some(long) => {
            let variable = format!("{prefix}_{}", long.replace('-', "_").to_uppercase());
            // The values of secrets never belong on a help page, wherever they came from.
            arg.env(variable).hide_env_values(true)
        }
    });
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| with_environment(sub, prefix)))
}

fn with_defaults(mut command: Command, table: &Table, path: &Path) -> Result<Command, ConfigError> {
    for (key, value) in table {
        if let (Value::Table(inner), Some(_)) = (value, command.find_subcommand(key)) {
            let sub = command.find_subcommand(key).cloned().expect("looked up in the line above");
            let sub = with_defaults(sub, inner, path)?;
            command = command.mut_subcommand(key, |_| sub);
        } else {
            let values = values(value).ok_or_else(|| ConfigError::Form { path: path.into(), key: key.clone() })?;
            if !is_text(value) && takes_text(&command, key) {
                return Err(ConfigError::Text { path: path.into(), key: key.clone() });
            }
            let (changed, used) = set_default(command, key, &values);
            if !used {
                return Err(ConfigError::Unknown { path: path.into(), key: key.clone() });
            }
            command = changed;
        }
    }
    Ok(command)
}

/// Whether `key` is, here or in a subcommand, an argument whose value is text of any kind.
fn takes_text(command: &Command, key: &str) -> bool {
    let long = key.replace('_', "-");
    let is_text = |arg: &clap::Arg| {
        let kind = arg.get_value_parser().type_id();
        kind == TypeId::of::<String>() || kind == TypeId::of::<PathBuf>()
    };
    command.get_arguments().any(|arg| arg.get_long() == Some(&long) && is_text(arg))
        || command.get_subcommands().any(|sub| takes_text(sub, key))
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Array(_))
}

/// Give `key` a default here and in every subcommand that has such an argument.
fn set_default(mut command: Command, key: &str, values: &[String]) -> (Command, bool) {
    let long = key.replace('_', "-");
    let id = command.get_arguments().find(|arg| arg.get_long() == Some(&long)).map(|arg| arg.get_id().clone());
    let mut used = id.is_some();
    if let Some(id) = id {
        let values: Vec<clap::builder::OsStr> = values.iter().map(Into::into).collect();
        command = command.mut_arg(id, |arg| arg.default_values(values).required(false));
    }
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let sub = command.find_subcommand(&name).cloned().expect("listed in the line above");
        let (sub, used_there) = set_default(sub, key, values);
        used |= used_there;
        command = command.mut_subcommand(&name, |_| sub);
    }
    (command, used)
}

fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Float(number) => Some(vec![number.to_string()]),
        Value::Boolean(flag) => Some(vec![flag.to_string()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(Into::into)).collect(),
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        Serve {
            #[arg(long, default_value_t = 10)]
            token_seconds: u32,
            #[arg(long)]
            public_url: String,
            #[arg(long)]
            redirect_uri: Vec<String>,
            #[arg(long)]
            quiet: bool,
        },
    }

    fn parse_with(file: &str, args: &[&str]) -> Result<Cli, ConfigError> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("macloud-config-{}-{number}.toml", std::process::id()));
        std::fs::write(&path, file).unwrap();
        let args = [OsString::from("prog"), "--config".into(), path.clone().into(), "serve".into()]
            .into_iter()
            .chain(args.iter().map(OsString::from));
        let result = parse("MACLOUD_TEST", args);
        std::fs::remove_file(path).unwrap();
        result
    }

    #[test]
    fn file_gives_what_flags_leave_open() {
        let file = "token_seconds = 20\nredirect_uri = ['a', 'b']\n[serve]\npublic_url = 'http://file'\nquiet = true\n";
        let Verb::Serve { token_seconds, public_url, redirect_uri, quiet } =
            parse_with(file, &["--public-url", "http://flag"]).unwrap().verb;
        assert_eq!((token_seconds, public_url.as_str(), quiet), (20, "http://flag", true));
        assert_eq!(redirect_uri, ["a", "b"]);
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let unknown = parse_with("tokn_seconds = 20\npublic_url='x'", &[]).unwrap_err();
        assert!(unknown.to_string().contains("\"tokn_seconds\""), "{unknown}");
        let value = parse_with("token_seconds = 'many'\npublic_url='x'", &[]).unwrap_err();
        assert!(value.to_string().contains("--token-seconds"), "{value}");
        let number = parse_with("public_url = 5", &[]).unwrap_err();
        assert!(number.to_string().contains("\"public_url\" a number"), "{number}");
        let flag = parse_with("[serve]\npublic_url = true", &[]).unwrap_err();
        assert!(flag.to_string().contains("\"public_url\""), "{flag}");
        let toml = parse_with("token_seconds = ", &[]).unwrap_err();
        assert!(toml.to_string().contains("not valid TOML"), "{toml}");
    }
}
