//! Short spellings of JSON Schema.

use serde_json::{Map, Value, json};

/// An object with these members and no others. A name that ends with `?` is optional.
pub fn object(members: &[(&str, Value)]) -> Value {
    let mut schema = open(members);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    schema
}

/// An object with these members and any others.
pub fn open(members: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        let plain = name.strip_suffix('?').unwrap_or(name);
        if plain == *name {
            required.push(plain);
        }
        properties.insert(plain.to_owned(), schema.clone());
    }
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": true });
    if let Some(schema) = schema.as_object_mut().filter(|_| !required.is_empty()) {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

/// The schema with a description.
pub fn about(mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

/// A schema of [`bodies`](super::bodies) by its name.
pub fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Any text.
pub fn text() -> Value {
    json!({ "type": "string" })
}

/// One of these texts.
pub fn one_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

/// A text of this form.
pub fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// A UUID with hyphens.
pub fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

/// A whole number of 64 bits.
pub fn integer() -> Value {
    json!({ "type": "integer", "format": "int64" })
}

/// A whole number of 64 bits that is not negative.
pub fn count() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0 })
}

/// The number of a record: 1 to 2^63-1.
pub fn id() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX })
}

/// A moment in unix seconds.
pub fn time(description: &str) -> Value {
    about(integer(), &format!("{description}, unix seconds"))
}

/// A number with or without a fraction.
pub fn number() -> Value {
    json!({ "type": "number" })
}

/// `true` or `false`.
pub fn boolean() -> Value {
    json!({ "type": "boolean" })
}

/// A list.
pub fn array(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// A list of a bounded length.
pub fn bounded(items: Value, least: usize, most: usize) -> Value {
    json!({ "type": "array", "items": items, "minItems": least, "maxItems": most })
}

/// The schema, or `null`.
pub fn or_null(mut schema: Value) -> Value {
    match schema.get("type").and_then(Value::as_str).map(str::to_owned) {
        Some(kind) if schema.get("enum").is_none() => {
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("type".to_owned(), json!([kind, "null"]));
            }
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// Exactly one of the schemas.
pub fn either(schemas: &[Value]) -> Value {
    json!({ "oneOf": schemas })
}

/// This value alone.
pub fn only(value: impl Into<Value>) -> Value {
    json!({ "const": value.into() })
}
