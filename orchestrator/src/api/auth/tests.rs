//! All routes with all roles: what the list of routes says is what a caller gets.

use super::{super::routes, *};
use crate::login::{LoginConfig, NewKey, RoleGrant};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, StatusCode, header},
    routing::{delete, get, post},
};
use routes::{ApiRoute, RouteMethod};
use std::collections::BTreeMap;
use tower_service::Service;

/// Keys of all roles, and the door that knows them.
struct TestKeys {
    door: ApiDoor,
    viewer: String,
    operator: String,
    admin: String,
    _folder: tempfile::TempDir,
}

fn keys(open_metrics: bool) -> TestKeys {
    saga_resilience::transport::install_tls();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.yaml");
    let key = |id: &str, role| {
        let grant = RoleGrant { role, payloads: false };
        NewKey { id: id.to_owned(), grant, expires: None }.add_to(&file).expect("a key")
    };
    let (viewer, operator) = (key("viewer", LoginRole::Viewer), key("operator", LoginRole::Operator));
    let admin = key("admin", LoginRole::Admin);
    let login = LoginConfig {
        keys: Some(file),
        tokens: None,
        code_flow: None,
        device_client: None,
        clients: BTreeMap::new(),
        open_metrics,
        session_key: None,
    };
    let access = ApiAccess::Login(Box::new(login));
    let door = ApiDoor::open(&access, SocketAddr::from(([127, 0, 0, 1], 0)), false).expect("a door");
    TestKeys { door, viewer, operator, admin, _folder: folder }
}

/// The same routes with the same layers, and handlers that only say that they were reached.
fn app(door: &ApiDoor) -> Router {
    let reached = || async { "reached" };
    let stub = |route: ApiRoute| ApiRoute {
        method: route.method,
        path: route.path,
        permission: route.permission,
        handler: match route.method {
            RouteMethod::Get => get(reached),
            RouteMethod::Post => post(reached),
            RouteMethod::Delete => delete(reached),
        },
    };
    let stubs: Vec<ApiRoute<()>> = routes::all().into_iter().map(stub).collect();
    crate::api::layered(routes::router(stubs, door), door)
}

fn request(method: &str, path: &str, authorization: Option<&str>) -> Request {
    let path = path.replace(['{', '}'], "");
    let built = Request::builder().method(method).uri(path);
    let built = match authorization {
        Some(value) => built.header(header::AUTHORIZATION, value),
        None => built,
    };
    built.body(Body::empty()).expect("a request")
}

async fn status(app: &mut Router, request: Request) -> (StatusCode, Response) {
    let answer = app.call(request).await.expect("an answer");
    (answer.status(), answer)
}

fn bearer(key: &str) -> Option<String> {
    Some(format!("Bearer {key}"))
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_list_of_routes_says() {
    let keys = keys(false);
    let mut app = app(&keys.door);
    let callers = [
        ("nobody", None, None),
        ("an invalid key", bearer("saga_viewer_AAAA"), None),
        ("viewer", bearer(&keys.viewer), Some(LoginRole::Viewer)),
        ("operator", bearer(&keys.operator), Some(LoginRole::Operator)),
        ("admin", bearer(&keys.admin), Some(LoginRole::Admin)),
    ];
    for route in routes::all() {
        let needs = keys.door.needs(route.permission);
        for (name, authorization, role) in &callers {
            let asked = request(route.method.as_str(), route.path, authorization.as_deref());
            let (status, _) = status(&mut app, asked).await;
            let expected = match (needs, *role) {
                (None, _) => StatusCode::OK,
                (Some(_), None) => StatusCode::UNAUTHORIZED,
                (Some(needs), Some(role)) if role < needs => StatusCode::FORBIDDEN,
                (Some(_), Some(_)) => StatusCode::OK,
            };
            assert_eq!(status, expected, "{name} at {route:?}");
        }
    }
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_what_is_there() {
    let keys = keys(false);
    let mut app = app(&keys.door);
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/api/nothing"),
        ("DELETE", "/api/sagas"),
        ("OPTIONS", "/api/sagas"),
        ("GET", "/api/sagas/%ff"),
        ("GET", "/api/sagas/%2f..%2f"),
        ("GET", "//api/sagas"),
        ("PUT", "/api/jobs"),
        ("HEAD", "/api/sagas"),
        ("TRACE", "/api/sagas"),
    ] {
        let (code, answer) = status(&mut app, request(method, path, None)).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert!(!answer.headers().contains_key(header::ALLOW), "{method} {path}");
        assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"saga\"");
    }
    let known = bearer(&keys.viewer);
    let (code, _) = status(&mut app, request("DELETE", "/api/sagas", known.as_deref())).await;
    assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED, "who has logged in is told");
}

#[tokio::test]
async fn metrics_are_open_only_if_that_is_said() {
    for (open, expected) in [(false, StatusCode::UNAUTHORIZED), (true, StatusCode::OK)] {
        let keys = keys(open);
        let (code, _) = status(&mut app(&keys.door), request("GET", "/metrics", None)).await;
        assert_eq!(code, expected);
    }
}

#[tokio::test]
async fn without_the_layer_that_identifies_nobody_gets_in() {
    let keys = keys(false);
    let reached = || async { "reached" };
    let route =
        ApiRoute { method: RouteMethod::Get, path: "/x", permission: RoutePermission::Read, handler: get(reached) };
    let mut bare: Router = routes::router(vec![route], &keys.door);
    let (code, _) = status(&mut bare, request("GET", "/x", bearer(&keys.admin).as_deref())).await;
    assert_eq!(code, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_acts_only_with_the_token_of_our_pages() {
    let keys = keys(false);
    let ApiDoor::Guarded(door) = &keys.door else { panic!("it has a login") };
    let identity = door.gate.bearer(&keys.operator).await.expect("a key");
    let cookie = door.gate.begin_session(identity).expect("a session");
    let content = door.gate.session(&cookie).expect("it is ours");
    let mut app = app(&keys.door);
    let asked = |method: &str, page_token: Option<&str>| {
        let built =
            Request::builder().method(method).uri("/api/jobs").header("cookie", format!("saga_session={cookie}"));
        let built = match page_token {
            Some(token) => built.header("x-csrf-token", token),
            None => built,
        };
        built.body(Body::empty()).expect("a request")
    };
    for (method, token, expected) in [
        ("GET", None, StatusCode::OK),
        ("POST", None, StatusCode::FORBIDDEN),
        ("POST", Some("other"), StatusCode::FORBIDDEN),
        ("POST", Some(content.page_token.as_str()), StatusCode::OK),
    ] {
        let (code, _) = status(&mut app, asked(method, token)).await;
        assert_eq!(code, expected, "{method} {token:?}");
    }
    let twice = Request::builder().uri("/api/jobs").header("cookie", format!("saga_session={cookie}; saga_session=x"));
    let (code, _) = status(&mut app, twice.body(Body::empty()).expect("a request")).await;
    assert_eq!(code, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refusal_is_a_problem_that_says_what_is_needed() {
    let keys = keys(false);
    let mut app = app(&keys.door);
    let asked = request("POST", "/api/definitions", bearer(&keys.operator).as_deref());
    let (code, answer) = status(&mut app, asked).await;
    assert_eq!(
        (code, &answer.headers()[header::CONTENT_TYPE]),
        (StatusCode::FORBIDDEN, &"application/problem+json".parse().expect("a value"))
    );
    let body = to_bytes(answer.into_body(), 64 * 1024).await.expect("a body");
    let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&problem["code"], &problem["detail"]),
        (&"forbidden".into(), &"this needs the role admin, and yours is operator".into())
    );
    let page = Request::builder().method(Method::GET).uri("/").header("accept", "text/html");
    let (code, answer) = status(&mut app, page.body(Body::empty()).expect("a request")).await;
    let html = to_bytes(answer.into_body(), 64 * 1024).await.expect("a body");
    assert!(code == StatusCode::UNAUTHORIZED && String::from_utf8_lossy(&html).contains("href=\"/login\""));
}

#[test]
fn the_login_says_who_acts() {
    let context = RequestContext::of(&Default::default(), &Default::default());
    let anna = crate::login::LoginIdentity {
        subject: "anna".to_owned(),
        grant: RoleGrant { role: LoginRole::Operator, payloads: false },
        proof: crate::login::LoginProof::Token { kid: "k".to_owned(), jti: None },
        expires: None,
    };
    let anna = ApiCaller::known(anna, context.clone());
    assert_eq!(anna.who(None).ok().as_deref(), Some("anna"));
    assert_eq!(anna.who(Some("anna".to_owned())).ok().as_deref(), Some("anna"));
    assert!(matches!(anna.who(Some("bert".to_owned())), Err(ApiError::OtherOperator(name)) if name == "anna"));
    let anybody = ApiCaller::anybody(context);
    assert_eq!(anybody.who(Some("bert".to_owned())).ok().as_deref(), Some("bert"));
    assert!(anybody.who(None).is_err());
}
