//! The page to log in, and the one after it.

use super::page;
use crate::api::ApiState;
use askama::Template;
use axum::{extract::State, response::Response};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    has_code_flow: bool,
}

#[derive(Template)]
#[template(path = "arrived.html")]
struct ArrivedPage<'a> {
    next: &'a str,
}

pub(crate) async fn login(State(backend): State<ApiState>) -> Response {
    page(&LoginPage { has_code_flow: backend.door.has_code_flow() })
}

/// After a login at the issuer: leads on to `next`.
pub(in crate::api) fn arrived(next: &str) -> Response {
    page(&ArrivedPage { next })
}
