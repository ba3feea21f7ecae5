//! An endpoint: the handler of one method of one path, and its description, side by side.

use std::sync::Arc;

use axum::{
    extract::Request,
    middleware::{self, Next},
    routing::{self, MethodRouter},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::query::Parameters;
use crate::serve::{App, problem::Problem};

/// What makes a schema when it is given the generator that collects those it refers to.
pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`, or a reference to it.
pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A query parameter or a header, as the OpenAPI document describes it.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    /// Its type in JSON Schema.
    pub(super) kind: &'static str,
    pub(super) required: bool,
    pub(super) repeated: bool,
    /// The smallest number that it takes.
    pub(super) least: Option<i64>,
    /// The words that it takes; any text when there is none.
    pub(super) words: &'static [&'static str],
}

impl Parameter {
    pub(super) const fn text(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, kind: "string", required: false, repeated: false, least: None, words: &[] }
    }

    /// A whole number from `least` on.
    pub(super) const fn number(name: &'static str, meaning: &'static str, least: i64) -> Self {
        Self { kind: "integer", least: Some(least), ..Self::text(name, meaning) }
    }

    /// Any whole number.
    pub(super) const fn integer(name: &'static str, meaning: &'static str) -> Self {
        Self { kind: "integer", ..Self::text(name, meaning) }
    }

    /// A moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) const fn moment(name: &'static str, meaning: &'static str) -> Self {
        Self::integer(name, meaning)
    }

    pub(super) const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) const fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// One method of one path.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) summary: &'static str,
    /// The query parameters, in lists that endpoints share.
    pub(super) query: &'static [&'static [Parameter]],
    /// The headers beside the usual ones.
    pub(super) headers: &'static [Parameter],
    pub(super) body: Option<MakeSchema>,
    /// The fields of the body that must be given, beside those that its schema says.
    pub(super) needs: &'static [&'static str],
    /// What a good answer holds; `None` when it is empty.
    pub(super) answer: Option<MakeSchema>,
    /// The statuses that it answers beside the good one and those of the guard.
    pub(super) statuses: &'static [(u16, &'static str)],
    pub(super) handler: MethodRouter<Arc<App>>,
}

macro_rules! methods {
    ($($method:ident)+) => {
        impl Endpoint {
            $(
                #[doc = concat!("`", stringify!($method), "` of `path`, which answers a `T`.")]
                pub(super) fn $method<T: JsonSchema, H, A>(path: &str, summary: &'static str, handler: H) -> Self
                where
                    H: axum::handler::Handler<A, Arc<App>>,
                    A: 'static,
                {
                    Self {
                        method: stringify!($method),
                        path: path.to_owned(),
                        summary,
                        query: &[],
                        headers: &[],
                        body: None,
                        needs: &[],
                        answer: Some(schema_of::<T>),
                        statuses: &[],
                        handler: routing::$method(handler),
                    }
                }
            )+
        }
    };
}

methods!(get post put patch delete);

impl Endpoint {
    pub(super) fn query(self, query: &'static [&'static [Parameter]]) -> Self {
        Self { query, ..self }
    }

    pub(super) fn headers(self, headers: &'static [Parameter]) -> Self {
        Self { headers, ..self }
    }

    pub(super) fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(schema_of::<T>), ..self }
    }

    /// Its body must have the fields `needs`, which its type has for other endpoints, too.
    pub(super) fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    /// Its path and its handler, which refuses parameters of the query that it does not know: a filter that is passed
    /// over would answer too much.
    pub(super) fn routed(self) -> (String, MethodRouter<Arc<App>>) {
        let known: Vec<&str> = self.query.iter().copied().flatten().map(|parameter| parameter.name).collect();
        if known.is_empty() {
            return (self.path, self.handler);
        }
        let refuse = move |parameters: Parameters, request: Request, next: Next| {
            let checked = parameters.only(&known);
            async move {
                checked?;
                Ok::<_, Problem>(next.run(request).await)
            }
        };
        (self.path, self.handler.route_layer(middleware::from_fn(refuse)))
    }

    /// A good answer is 204 and holds nothing.
    pub(super) fn no_content(self) -> Self {
        Self { answer: None, ..self }
    }

    pub(super) fn statuses(self, statuses: &'static [(u16, &'static str)]) -> Self {
        Self { statuses, ..self }
    }
}
