//! The stylesheet, the icon and the script, built in. Their names hold a hash of their content, so browsers may keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use macloud_proto::ids::base32;
use ring::digest::{SHA256, digest};

const STYLESHEET: &str = include_str!("../../assets/style.css");
const SCRIPT: &str = include_str!("../../assets/passkey.js");
const ICON: &str = include_str!("../../assets/icon.svg");

static STYLESHEET_URL: LazyLock<String> = LazyLock::new(|| url("style", "css", STYLESHEET));
static SCRIPT_URL: LazyLock<String> = LazyLock::new(|| url("passkey", "js", SCRIPT));
static ICON_URL: LazyLock<String> = LazyLock::new(|| url("icon", "svg", ICON));

pub(super) fn stylesheet_url() -> &'static str {
    &STYLESHEET_URL
}

pub(super) fn script_url() -> &'static str {
    &SCRIPT_URL
}

pub(super) fn icon_url() -> &'static str {
    &ICON_URL
}

/// GET `/assets/{file}`.
pub(super) async fn serve(Path(file): Path<String>) -> Response {
    let path = format!("/assets/{file}");
    let (content_type, content) = if path == *STYLESHEET_URL {
        ("text/css; charset=utf-8", STYLESHEET)
    } else if path == *SCRIPT_URL {
        ("text/javascript; charset=utf-8", SCRIPT)
    } else if path == *ICON_URL {
        ("image/svg+xml", ICON)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([("content-type", content_type), ("cache-control", "public, max-age=31536000, immutable")], content)
        .into_response()
}

fn url(name: &str, extension: &str, content: &str) -> String {
    let hash = base32(&digest(&SHA256, content.as_bytes()).as_ref()[..10]);
    format!("/assets/{name}-{hash}.{extension}")
}
