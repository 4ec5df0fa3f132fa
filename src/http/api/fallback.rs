//! The responses to unknown routes and methods.

use axum::extract::OriginalUri;
use axum::http::Method;
use axum::response::Response;

use crate::http::pipeline::route::Route;
use crate::http::problem::{Code, Problem};

pub(in crate::http) async fn not_found(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(Code::NotFound, format!("no route {:?}; see /openapi.json", uri.path()))
}

pub(in crate::http) async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let problem = Problem::new(
        Code::MethodNotAllowed,
        format!("{method} is not allowed for {:?}; see Allow", uri.path()),
    );
    problem.into_response_in(Route::of(uri.path()).error_format())
}
