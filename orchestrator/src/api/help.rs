//! `GET /help/errors/{code}`: what a code means, and what to do.

use super::{
    errors::{ApiError, ApiErrorCode, ApiErrorFacts},
    pages::page,
};
use askama::Template;
use axum::{extract::Path, response::Response};

#[derive(Template)]
#[template(path = "help.html")]
struct HelpPage {
    facts: ApiErrorFacts,
}

pub(super) async fn error(Path(code): Path<String>) -> Result<Response, ApiError> {
    match ApiErrorCode::named(&code) {
        Some(known) => Ok(page(&HelpPage { facts: known.facts() })),
        None => Err(ApiError::NoRoute(format!("/help/errors/{code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page() {
        for facts in ApiErrorCode::ALL.map(ApiErrorCode::facts) {
            let shown = HelpPage { facts }.render().expect("a page");
            assert!(shown.contains(facts.title) && shown.contains(facts.code), "{shown}");
        }
    }
}
