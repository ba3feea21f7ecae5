//! Bodies of requests as JSON objects, of which every member must be known and none may be there twice: what is
//! not understood is never taken for left out.

use std::fmt;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::serve::problem::Problem;

/// A body, which the guard has read.
pub(super) struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        bytes.map(Self).map_err(|_| Problem::bad_request("The body cannot be read."))
    }
}

impl Body {
    /// The body as the JSON object that it must be. Types that are read here deny unknown fields.
    ///
    /// # Errors
    ///
    /// With the name of a field that is not known or there twice.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bad = |error| Problem::bad_request(format!("The body cannot be read: {error}."));
        let Unique(value) = serde_json::from_slice(&self.0).map_err(bad)?;
        // The fields of a type could also be read from a list.
        let object: Map<String, Value> = serde_json::from_value(value).map_err(bad)?;
        serde_json::from_value(object.into()).map_err(bad)
    }
}

/// A value in which no object has a member twice, however deep it lies.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unique(Value::Null))
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        let mut list = Vec::new();
        while let Some(Self(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Self(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut object = Map::new();
        while let Some((name, Self(value))) = members.next_entry::<String, Self>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("field `{name}` is there twice")));
            }
            object.insert(name, value);
        }
        Ok(Self(object.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[expect(dead_code, reason = "what matters is whether it can be read")]
        name: Value,
    }

    fn told(body: &'static str) -> String {
        Body(Bytes::from_static(body.as_bytes()))
            .json::<Asked>()
            .map_or_else(|error| error.message, |_| "read".into())
    }

    #[test]
    fn an_object_is_read_whatever_its_members_are() {
        for body in [r#"{"name": {"a": [1, -2, 3.5, null, true, "x"], "b": {"a": 1}}}"#, r#"{"name": null}"#]
        {
            assert_eq!(told(body), "read", "{body}");
        }
    }

    #[test]
    fn a_field_that_is_there_twice_is_named_however_deep_it_lies() {
        for body in [
            r#"{"name": 1, "name": 1}"#,
            r#"{"name": [{"name": 1, "n\u0061me": 2}]}"#,
            r#"{"name": {"a": {"name": 1, "b": 2, "name": null}}}"#,
        ] {
            assert!(told(body).contains("`name` is there twice"), "{body}: {}", told(body));
        }
    }

    #[test]
    fn a_field_that_is_not_known_is_named_and_a_list_is_no_object() {
        assert!(told(r#"{"name": 1, "userKey": "mary"}"#).contains("`userKey`"));
        for body in ["[1]", "1", "", "null", r#"{"name": 1"#] {
            assert!(told(body).starts_with("The body cannot be read: "), "{body}");
        }
    }
}
