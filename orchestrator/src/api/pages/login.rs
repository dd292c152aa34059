//! The page to log in.

use super::page;
use crate::api::ApiState;
use askama::Template;
use axum::{extract::State, response::Response};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    has_code_flow: bool,
}

pub(crate) async fn login(State(backend): State<ApiState>) -> Response {
    page(&LoginPage { has_code_flow: backend.door.has_code_flow() })
}
