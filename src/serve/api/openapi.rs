//! In: the table of endpoints. Out: the OpenAPI document that describes them. It refuses to describe
//! what the router does not have.

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
    Dialect,
    endpoint::{Endpoint, Entry, MakeSchema, Parameter, schema_of},
    endpoints as all_endpoints,
};
use crate::{
    access::Operation,
    serve::{guard::Session, problem::Problem},
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
    let path = "/rest/tokenwarden/1/openapi.json";
    vec![Endpoint::get::<Map<String, Value>, _, _>(path, "This document", document)]
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
    operation.insert("summary".to_owned(), endpoint.summary.into());
    operation.insert("parameters".to_owned(), parameters(endpoint).into());
    if let Some(body) = endpoint.body {
        let content = content(body, generator);
        operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    operation.insert("responses".to_owned(), responses(endpoint, generator).into());
    if Entry::of(&endpoint.path) != Entry::Permitted {
        operation.insert("security".to_owned(), json!([]));
    }
    operation.into()
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path = endpoint
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let query = endpoint.query.iter().copied().flatten().map(|given| parameter("query", given));
    let headers = endpoint.headers.iter().map(|given| parameter("header", given));
    in_path.chain(query).chain(headers).collect()
}

fn parameter(place: &str, given: &Parameter) -> Value {
    let one = json!({"type": given.kind});
    let schema = if given.repeated { json!({"type": "array", "items": one}) } else { one };
    let (name, meaning, required) = (given.name, given.meaning, given.required);
    json!({"name": name, "in": place, "description": meaning, "required": required, "schema": schema})
}

fn responses(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let error: MakeSchema = match Dialect::of(&endpoint.path) {
        Dialect::Bitbucket => schema_of::<Errors>,
        Dialect::Module => schema_of::<Message>,
        Dialect::App => schema_of::<ErrorMessage>,
    };
    let error = content(error, generator);
    let of_guard: &[(u16, &str)] = match Entry::of(&endpoint.path) {
        Entry::Outside => &[],
        Entry::Open => &[(403, "The client is not let in"), (503, "The server cannot do its work")],
        Entry::Permitted => &[
            (401, "There are no credentials, or they are wrong"),
            (403, "The request is not permitted"),
            (429, "Too many attempts with a password failed"),
            (503, "The server cannot do its work"),
        ],
    };
    let mut responses = Map::new();
    match endpoint.answer {
        Some(answer) => {
            let good = content(answer, generator);
            responses.insert("200".to_owned(), json!({"description": "Done", "content": good}));
        }
        None => {
            responses.insert("204".to_owned(), json!({"description": "Done"}));
        }
    }
    let of_bodies: &[(u16, &str)] = match endpoint.body {
        Some(_) => &[(413, "The body is larger than 1 MiB"), (415, "The body is not JSON")],
        None => &[],
    };
    for (status, meaning) in endpoint.statuses.iter().chain(of_guard).chain(of_bodies) {
        responses.insert(status.to_string(), json!({"description": meaning, "content": error}));
    }
    responses
}

fn content(schema: MakeSchema, generator: &mut SchemaGenerator) -> Value {
    json!({"application/json": {"schema": schema(generator)}})
}
