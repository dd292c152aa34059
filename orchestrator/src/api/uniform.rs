//! Answers of the router itself, in the form of all others: a wrong method, a path that is no text, a body that is too
//! large.

use super::{
    BODY_BYTES, dead_letters, definitions, documents,
    errors::{ApiError, ApiProblem},
    jobs, starts,
};
use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use saga_core::definition::or_did_you_mean;

pub(super) async fn in_one_form(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if response.extensions().get::<ApiProblem>().is_some() || !is_the_routers(response.headers()) {
        return response;
    }
    let status = response.status();
    match error(status, &method, &path, response.headers()) {
        // A HEAD is answered without a body, and the header says which methods there are.
        Some(error) => with_allowed(error.into_response(), response.headers()),
        None => response,
    }
}

fn is_the_routers(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_none_or(|kind| kind.starts_with("text/plain"))
}

fn error(status: StatusCode, method: &Method, path: &str, headers: &HeaderMap) -> Option<ApiError> {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Some(wrong_method(method, path, headers)),
        StatusCode::PAYLOAD_TOO_LARGE => Some(ApiError::TooLarge { limit: largest_body(path) }),
        status if status.is_client_error() && percent_decode_str(path).decode_utf8().is_err() => {
            Some(ApiError::BadPath(format!("the path {path} is no UTF-8")))
        }
        status if status.is_client_error() => {
            Some(ApiError::BadPath(format!("the request to {path} cannot be read to its end")))
        }
        _ => None,
    }
}

/// The largest body that the route takes.
fn largest_body(path: &str) -> usize {
    match path {
        "/api/jobs" => jobs::BODY_BYTES,
        "/api/sagas" => starts::BODY_BYTES,
        "/api/definitions" => definitions::BODY_BYTES,
        "/api/definitions/restore" => documents::BODY_BYTES,
        "/api/dead-letters/purge" => BODY_BYTES,
        jobs if jobs.starts_with("/api/dead-letters/jobs") => BODY_BYTES,
        letter if letter.starts_with("/api/dead-letters/") => dead_letters::BODY_BYTES,
        _ => BODY_BYTES,
    }
}

fn wrong_method(method: &Method, path: &str, headers: &HeaderMap) -> ApiError {
    let allowed = headers.get(header::ALLOW).and_then(|allowed| allowed.to_str().ok()).unwrap_or_default();
    let allowed = allowed.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
    let word = path.rsplit('/').next().unwrap_or_default();
    let of_a_saga = path.strip_prefix("/api/sagas/").is_some_and(|rest| rest.contains('/'));
    let guess = if of_a_saga && word != "history" { or_did_you_mean(word, ["history"]) } else { String::new() };
    ApiError::WrongMethod { method: method.to_string(), path: path.to_owned(), allowed, guess }
}

fn with_allowed(mut response: Response, before: &HeaderMap) -> Response {
    if let Some(allowed) = before.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        Router,
        body::{Body, Bytes, to_bytes},
        extract::{DefaultBodyLimit, Path},
        middleware,
        routing::{get, post},
    };
    use serde_json::Value;
    use tower_service::Service;

    async fn asked(method: Method, path: &str, body: usize) -> (Response, Value) {
        let routes = Router::new()
            .route("/api/sagas", get(|| async {}))
            .route("/api/sagas/{id}", get(|Path(_): Path<String>| async {}))
            .route("/api/sagas/{id}/{action}", post(|_: Bytes| async {}))
            .layer(DefaultBodyLimit::max(BODY_BYTES));
        let mut routes = Router::new().fallback_service(routes).layer(middleware::from_fn(in_one_form));
        let request =
            Request::builder().method(method).uri(path).body(Body::from(vec![b'x'; body])).expect("a request");
        let (parts, body) = routes.call(request).await.expect("an answer").into_parts();
        let body = to_bytes(body, BODY_BYTES).await.expect("a body");
        (Response::from_parts(parts, Body::empty()), serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_wrong_method_is_told_with_those_that_there_are() {
        for (method, path, said) in [
            (Method::POST, "/api/sagas", "/api/sagas takes GET, HEAD, not POST"),
            (Method::DELETE, "/api/sagas/k1", "/api/sagas/k1 takes GET, HEAD, not DELETE"),
            (Method::GET, "/api/sagas/k1/retry", "/api/sagas/k1/retry takes POST, not GET"),
            (Method::GET, "/api/sagas/k1/histroy", "takes POST, not GET; did you mean `history`?"),
        ] {
            let (answer, body) = asked(method, path, 0).await;
            assert_eq!((answer.status(), &body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &"wrong_method".into()));
            let message = body["detail"].as_str().unwrap_or_default();
            assert!(message.contains(said) && answer.headers().contains_key(header::ALLOW), "{body}");
        }
    }

    #[test]
    fn the_limit_that_is_told_is_that_of_the_route() {
        for act in ["0/17/edit", "0/17/discard", "shop.orders.dlq/0/17/edit", "import"] {
            assert_eq!(largest_body(&format!("/api/dead-letters/{act}")), dead_letters::BODY_BYTES, "{act}");
        }
        for other in ["/api/dead-letters/jobs", "/api/dead-letters/purge", "/api/sagas/k1/retry"] {
            assert_eq!(largest_body(other), BODY_BYTES, "{other}");
        }
        assert_eq!(largest_body("/api/jobs"), jobs::BODY_BYTES);
    }

    #[tokio::test]
    async fn a_path_that_is_no_text_and_a_large_body_are_told_as_json() {
        let (answer, body) = asked(Method::GET, "/api/sagas/%ff", 0).await;
        assert_eq!((answer.status(), &body["code"]), (StatusCode::BAD_REQUEST, &"bad_path".into()), "{body}");
        let (answer, body) = asked(Method::POST, "/api/sagas/k1/retry", BODY_BYTES + 1).await;
        assert_eq!((answer.status(), &body["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &"too_large".into()));
        assert!(body["detail"].as_str().is_some_and(|said| said.contains("65536 bytes")), "{body}");
        let (answer, _) = asked(Method::GET, "/api/sagas/k1", 0).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
}
