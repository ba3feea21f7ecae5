//! The OpenAPI document, from the table of endpoints. It describes nothing that the router does not have.

use std::sync::OnceLock;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    endpoint::{Endpoint, MakeSchema, Parameter, schema_of},
    endpoints as all_endpoints,
};
use crate::{
    access::Operation,
    protocol::OPENAPI,
    serve::{dialect::Dialect, entry::EndpointAccess, problem::Problem, session::Session},
};

/// An error of the token and settings resources.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ErrorMessage {
    /// What is wrong.
    error_message: String,
}

/// An error of the modules that Atlassian's products share.
#[derive(Serialize, JsonSchema)]
struct Message {
    /// What is wrong.
    message: String,
}

/// Errors of Bitbucket's own resources.
#[derive(Serialize, JsonSchema)]
struct Errors {
    errors: Vec<BitbucketError>,
}

/// One of them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BitbucketError {
    context: Option<String>,
    message: String,
    exception_name: Option<String>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get::<Map<String, Value>, _, _>(OPENAPI, "This document", document)]
}

async fn document(session: Session, headers: HeaderMap) -> Result<Response, Problem> {
    session.permit(Operation::ReadOpen)?;
    let Made { text, etag } = made();
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    let tag = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if known.flat_map(|value| value.split(',')).any(|tag| is_known(tag.trim())) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((tag, [json], text.clone()).into_response())
}

/// The document as it is handed out.
struct Made {
    text: Bytes,
    /// Its strong entity tag.
    etag: HeaderValue,
}

/// The document, which is made once: anybody may ask for it as often as they like.
fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let text = describe(&all_endpoints()).to_string();
        let hash = Sha256::digest(text.as_bytes());
        let start = hash.iter().take(16).fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
        let etag = HeaderValue::try_from(format!("\"{start:032x}\""));
        Made { text: text.into(), etag: etag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")) }
    })
}

/// The OpenAPI document for `endpoints`.
fn describe(endpoints: &[Endpoint]) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let operation = operation(endpoint, &mut generator);
        let path = paths.entry(endpoint.path.clone()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.method.to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tokenwarden",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "API tokens, the settings that govern them, and the directory of their owners. \
                Every answer carries `X-Request-Id`.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "User and token, or user and password"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "Token"},
            },
        },
        "security": [{"basic": []}, {"bearer": []}],
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), operation_id(endpoint).into());
    operation.insert("summary".to_owned(), endpoint.summary.into());
    operation.insert("parameters".to_owned(), parameters(endpoint).into());
    if let Some(body) = endpoint.body {
        let mut schema = body(generator).to_value();
        if !endpoint.needs.is_empty() {
            schema = json!({"allOf": [schema], "required": endpoint.needs});
        }
        let content = json!({"application/json": {"schema": schema}});
        operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    operation.insert("responses".to_owned(), responses(endpoint, generator).into());
    if EndpointAccess::of(&endpoint.path) != EndpointAccess::Permitted {
        operation.insert("security".to_owned(), json!([]));
    }
    operation.into()
}

/// A name for the operation, which generators of clients make a function's of: `getApiLatestUsersBySlug`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.strip_prefix("/rest").unwrap_or(&endpoint.path);
    let mut id = endpoint.method.to_owned();
    for segment in path.split('/') {
        let (by, words) = match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => ("By", name),
            None => ("", segment),
        };
        id.push_str(by);
        for word in words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let (first, rest) = word.split_at(1);
            id.push_str(&first.to_ascii_uppercase());
            id.push_str(rest);
        }
    }
    id
}

/// What a parameter of this name in `path` looks like.
fn path_schema(path: &str, name: &str) -> Value {
    match name {
        // Those of the server behind are Bitbucket's.
        "id" if Dialect::of(path) == Dialect::Bitbucket || path.starts_with("/rest/tokenwarden/") => {
            json!({"type": "string", "pattern": "^[0-9]{12,}$"})
        }
        "id" => json!({"type": "integer", "minimum": 1}),
        "run" => json!({"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path =
        endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
            let schema = path_schema(&endpoint.path, name);
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        });
    let query = endpoint.query.iter().copied().flatten().map(|given| parameter("query", given));
    let headers = endpoint.headers.iter().map(|given| parameter("header", given));
    in_path.chain(query).chain(headers).collect()
}

fn parameter(place: &str, given: &Parameter) -> Value {
    let mut one = Map::from_iter([("type".to_owned(), given.kind.into())]);
    one.extend(given.least.map(|least| ("minimum".to_owned(), least.into())));
    if !given.words.is_empty() {
        one.insert("enum".to_owned(), given.words.into());
    }
    let schema = if given.repeated { json!({"type": "array", "items": one}) } else { one.into() };
    let (name, meaning, required) = (given.name, given.meaning, given.required);
    json!({"name": name, "in": place, "description": meaning, "required": required, "schema": schema})
}

/// What every endpoint answers that takes such requests, unless it says more of it.
fn usual(endpoint: &Endpoint) -> Vec<(u16, &'static str)> {
    let mut usual = Vec::new();
    if !endpoint.query.is_empty() || !endpoint.headers.is_empty() {
        usual.push((400, "A parameter is not known or cannot be read"));
    }
    if endpoint.body.is_some() {
        usual.push((400, "The body cannot be read, or has a field that is not known"));
        usual.push((408, "The body did not arrive in time"));
        usual.push((413, "The body is larger than 1 MiB"));
        usual.push((415, "The body is not JSON"));
    }
    if endpoint.method != "get" {
        usual.push((409, "The permissions of the sender changed during the request"));
    }
    usual
}

fn responses(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let error: MakeSchema = match Dialect::of(&endpoint.path) {
        Dialect::Bitbucket => schema_of::<Errors>,
        Dialect::Module => schema_of::<Message>,
        Dialect::App => schema_of::<ErrorMessage>,
    };
    let media_type = Dialect::of(&endpoint.path).media_type();
    let error = content(media_type, error, generator);
    let of_guard: &[(u16, &str)] = match EndpointAccess::of(&endpoint.path) {
        EndpointAccess::Outside => &[],
        EndpointAccess::Open => &[
            (401, "The credentials are wrong; without any it answers"),
            (403, "The client is not let in"),
            (429, "Too many attempts with a password failed"),
            (503, "The server cannot do its work"),
        ],
        EndpointAccess::Permitted => &[
            (401, "There are no credentials, or they are wrong"),
            (403, "The request is not permitted"),
            (429, "Too many attempts with a password failed"),
            (503, "The server cannot do its work"),
        ],
    };
    let mut responses = Map::new();
    match endpoint.answer {
        Some(answer) => {
            let good = content(media_type, answer, generator);
            responses.insert("200".to_owned(), json!({"description": "Done", "content": good}));
        }
        None => {
            responses.insert("204".to_owned(), json!({"description": "Done"}));
        }
    }
    for (status, meaning) in usual(endpoint).iter().chain(endpoint.statuses).chain(of_guard) {
        responses.insert(status.to_string(), json!({"description": meaning, "content": error}));
    }
    responses
}

fn content(media_type: &str, schema: MakeSchema, generator: &mut SchemaGenerator) -> Value {
    json!({media_type: {"schema": schema(generator)}})
}
