//! What is logged: one JSON line on standard error, which Lambda keeps. Never what a directive or an answer says.

use std::io::Write as _;

use serde_json::{Value, json};

/// Something that an operator should look into.
pub fn error(message: &str, fields: &Value) {
    line("error", message, fields);
}

/// Something that may pass by itself.
pub fn warn(message: &str, fields: &Value) {
    line("warn", message, fields);
}

fn line(level: &str, message: &str, fields: &Value) {
    let mut line = json!({"level": level, "message": message});
    if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
        line.extend(fields.clone());
    }
    // Nobody would read of it if this failed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
