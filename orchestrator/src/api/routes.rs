//! Every route of the API, once: the router, what a caller must be allowed to do, and the list for tests come from
//! here. A route without a permission cannot be written.

use super::{
    ApiState, BODY_BYTES, acts, audit,
    auth::{self, ApiDoor},
    dead_letters, definitions, documents, errors, events, guard_events, guards, health, help, jobs, monitoring, pages,
    participants,
    permission::RoutePermission,
    projections, saga_events, sagas, starts,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    middleware,
    routing::{MethodRouter, delete, get, post},
};
use std::fmt;

/// The method of a route; a GET also answers HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteMethod {
    Get,
    Post,
    Delete,
}

impl RouteMethod {
    #[cfg(test)]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            RouteMethod::Get => "GET",
            RouteMethod::Post => "POST",
            RouteMethod::Delete => "DELETE",
        }
    }
}

/// One route: what it takes, whom it is for, and what answers.
#[derive(Clone)]
pub(super) struct ApiRoute<S = ApiState> {
    pub(super) method: RouteMethod,
    pub(super) path: &'static str,
    pub(super) permission: RoutePermission,
    pub(super) handler: MethodRouter<S>,
}

impl<S> fmt::Debug for ApiRoute<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} for {:?}", self.method, self.path, self.permission)
    }
}

/// The routes of one permission.
struct RouteGroup(RoutePermission);

impl RouteGroup {
    fn get<H: Handler<T, ApiState>, T: 'static>(&self, path: &'static str, handler: H) -> ApiRoute {
        ApiRoute { method: RouteMethod::Get, path, permission: self.0, handler: get(handler) }
    }

    fn post<H: Handler<T, ApiState>, T: 'static>(&self, path: &'static str, handler: H) -> ApiRoute {
        ApiRoute { method: RouteMethod::Post, path, permission: self.0, handler: post(handler) }
    }

    fn delete<H: Handler<T, ApiState>, T: 'static>(&self, path: &'static str, handler: H) -> ApiRoute {
        ApiRoute { method: RouteMethod::Delete, path, permission: self.0, handler: delete(handler) }
    }
}

impl ApiRoute {
    /// With another limit of the body than [`BODY_BYTES`].
    fn takes(self, bytes: usize) -> ApiRoute {
        ApiRoute { handler: self.handler.layer(DefaultBodyLimit::max(bytes)), ..self }
    }
}

/// All routes.
pub(super) fn all() -> Vec<ApiRoute> {
    [open(), reading(), acting(), administering()].concat()
}

fn open() -> Vec<ApiRoute> {
    let (open, scrape) = (RouteGroup(RoutePermission::Open), RouteGroup(RoutePermission::Scrape));
    vec![
        open.get("/assets/act.js", pages::act_script),
        open.get("/assets/job.js", pages::job_script),
        open.get("/assets/saga.css", pages::style),
        open.get("/assets/saga.js", pages::script),
        open.get("/assets/visible.js", pages::visible_script),
        open.get("/login", pages::login),
        open.post("/login", auth::begin_session),
        open.get("/login/issuer", auth::begin_code_flow),
        open.get("/login/callback", auth::end_code_flow),
        open.get("/api/login", auth::ways),
        open.post("/logout", auth::end_session),
        open.get("/help/errors/{code}", help::error),
        open.get("/health/live", health::live),
        open.get("/health/ready", health::ready),
        scrape.get("/metrics", health::metrics),
        scrape.get("/monitoring/metrics", health::metrics),
    ]
}

fn reading() -> Vec<ApiRoute> {
    let read = RouteGroup(RoutePermission::Read);
    vec![
        read.get("/", pages::list),
        read.get("/sagas/{id}", pages::saga),
        read.get("/guards", pages::guards),
        read.get("/causes", pages::causes),
        read.get("/dead-letters", pages::letters),
        read.get("/dead-letters/{partition}/{offset}", pages::letter),
        read.get("/dead-letters/{partition}/{offset}/{last}", pages::letter),
        read.get("/audit", pages::audit),
        read.get("/health/deep", monitoring::deep::deep),
        read.get("/monitoring/performance", monitoring::performance::performance),
        read.get("/monitoring/dlq", monitoring::letters::depth),
        read.get("/monitoring/circuit-breakers", monitoring::breakers::list),
        read.get("/monitoring/idempotency", monitoring::idempotency::counts),
        read.get("/monitoring/startup", monitoring::start_profile::stages),
        read.get("/api/session", auth::show_session),
        read.get("/api/sagas", sagas::list),
        read.get("/api/sagas/{id}", sagas::show),
        read.get("/api/sagas/{id}/history", sagas::history),
        read.get("/api/sagas/{id}/diff", sagas::difference),
        read.get("/api/sagas/{id}/events", saga_events::events),
        read.get("/api/jobs", jobs::list),
        read.get("/api/jobs/{id}", jobs::show),
        read.get("/api/dead-letters", dead_letters::list),
        read.get("/api/dead-letters/stats", dead_letters::stats),
        read.get("/api/dead-letters/jobs", dead_letters::jobs),
        read.get("/api/dead-letters/jobs/{id}", dead_letters::show_job),
        read.get("/api/dead-letters/{partition}/{offset}", dead_letters::show),
        // The name of a topic may come first: then partition and offset are the parts after it.
        read.get("/api/dead-letters/{partition}/{offset}/{action}", dead_letters::show),
        read.get("/api/audit", audit::list),
        read.get("/api/counts", sagas::counts),
        read.get("/api/events", events::events),
        read.get("/api/projections", projections::list),
        read.get("/api/projections/{name}", projections::rows),
        read.get("/api/definitions", definitions::list),
        read.get("/api/guards", guards::list),
        read.get("/api/guards/acts", guards::acts),
        read.get("/api/guards/waiting", guards::waiting),
        read.get("/api/guards/events", guard_events::events),
        read.get("/api/guards/{participant}", guards::show),
    ]
}

fn acting() -> Vec<ApiRoute> {
    let act = RouteGroup(RoutePermission::Act);
    vec![
        act.post("/api/sagas", starts::start).takes(starts::BODY_BYTES),
        act.post("/api/sagas/{id}/rerun", acts::rerun_saga),
        act.post("/api/sagas/{id}/{action}", acts::act_on_saga),
        act.post("/api/jobs", jobs::begin).takes(jobs::BODY_BYTES),
        act.delete("/api/jobs/{id}", jobs::cancel),
        act.post("/api/dead-letters/jobs", dead_letters::begin_job),
        act.post("/api/dead-letters/jobs/{id}/{action}", dead_letters::act_on_job),
        act.post("/api/dead-letters/{partition}/{offset}/{action}", dead_letters::act).takes(dead_letters::BODY_BYTES),
        act.post("/api/dead-letters/{partition}/{offset}/{action}/{last}", dead_letters::act)
            .takes(dead_letters::BODY_BYTES),
        act.post("/api/guards/{participant}/{action}", acts::act_on_guard),
        act.post("/api/definitions/{name}/{action}", definitions::act),
        act.post("/monitoring/circuit-breakers/{name}/reset", monitoring::breakers::reset),
    ]
}

fn administering() -> Vec<ApiRoute> {
    let administer = RouteGroup(RoutePermission::Administer);
    vec![
        administer.post("/api/dead-letters/purge", dead_letters::purge),
        administer.post("/api/dead-letters/import", dead_letters::import).takes(dead_letters::BODY_BYTES),
        administer.post("/api/projections/{name}/rebuild", projections::rebuild),
        administer.post("/api/definitions", definitions::bring).takes(definitions::BODY_BYTES),
        administer.post("/api/definitions/restore", documents::restore).takes(documents::BODY_BYTES),
        administer.post("/api/participants/reload", participants::reload),
    ]
}

/// The router of these routes. Each refuses whom it is not for; everything else is answered with [`errors::no_route`].
pub(super) fn router<S: Clone + Send + Sync + 'static>(routes: Vec<ApiRoute<S>>, door: &ApiDoor) -> Router<S> {
    let add = |router: Router<S>, route: ApiRoute<S>| {
        let needs = door.needs(route.permission);
        let judged = middleware::from_fn(move |request, next| auth::judged(needs, request, next));
        router.route(route.path, route.handler.route_layer(judged))
    };
    routes.into_iter().fold(Router::new(), add).fallback(errors::no_route).layer(DefaultBodyLimit::max(BODY_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The rows of the list of routes in docs/api.md.
    fn written() -> BTreeSet<String> {
        let page = include_str!("../../../docs/api.md");
        let (_, list) = page.split_once("## Routes and permissions").expect("the page has the list");
        let rows = list.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
        rows.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
    }

    #[test]
    fn every_route_is_in_the_documentation_with_its_permission() {
        let row = |route: &ApiRoute| {
            format!("| `{} {}` | {} |", route.method.as_str(), route.path, route.permission.as_str())
        };
        let rows: BTreeSet<String> = all().iter().map(row).collect();
        let (written, rows) = (written(), rows);
        let differing: Vec<&String> = rows.symmetric_difference(&written).collect();
        assert!(differing.is_empty(), "docs/api.md and the routes differ in:\n{differing:#?}");
    }

    #[test]
    fn a_route_that_changes_something_is_no_route_for_readers() {
        let of_sessions = ["/login", "/logout"];
        let changing = |route: &&ApiRoute| route.method != RouteMethod::Get && !of_sessions.contains(&route.path);
        for route in all().iter().filter(changing) {
            assert!(matches!(route.permission, RoutePermission::Act | RoutePermission::Administer), "{route:?}");
        }
    }
}
