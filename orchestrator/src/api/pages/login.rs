//! The page to log in.

use super::page;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage;

pub(crate) async fn login() -> Response {
    page(&LoginPage)
}
