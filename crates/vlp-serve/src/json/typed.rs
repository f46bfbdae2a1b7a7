//! Values of the types that requests have.

use std::iter::Enumerate;
use std::vec;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Number;

use super::error::JsonError;
use super::value::Json;

/// Number from which not every integer is an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value that is read as the type that is asked for, and as no other.
#[derive(Debug)]
pub(super) struct Typed(pub(super) Json);

impl Typed {
    fn wrong<T>(&self, needed: &str) -> Result<T, JsonError> {
        let value: &str = match &self.0 {
            Json::Null => "null",
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            Json::Number(number) => &number.to_string(),
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        };
        Err(JsonError::new(format!("{value}; {needed} is needed")))
    }

    fn whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match &self.0 {
            Json::Number(number) => match whole(number) {
                Some(value) => visitor.visit_u64(value),
                None => self.wrong("a whole number from 0"),
            },
            _ => self.wrong("a whole number from 0"),
        }
    }

    fn real<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match &self.0 {
            Json::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            _ => self.wrong("a number"),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Json::String(text) => visitor.visit_string(text),
            _ => self.wrong("a string"),
        }
    }
}

/// A number as an integer from 0; 3.0 is one too, as in JSON Schema.
fn whole(number: &Number) -> Option<u64> {
    let rounded = || number.as_f64().filter(|value| value.fract() == 0.0);
    let exact = || rounded().filter(|value| (0.0..EXACT).contains(value));
    number
        .as_u64()
        .or_else(|| exact().map(|value| value as u64))
}

impl<'de> Deserializer<'de> for Typed {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(value),
            Json::Number(_) => self.real(visitor),
            Json::String(text) => visitor.visit_string(text),
            Json::Array(_) => self.deserialize_seq(visitor),
            Json::Object(members) => visitor.visit_map(Members::new(members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Json::Bool(value) => visitor.visit_bool(value),
            _ => self.wrong("true or false"),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.whole(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.whole(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.real(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.real(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.text(visitor)
    }

    /// An absent field is `None`; null is a value of another type.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Json::Array(elements) => visitor.visit_seq(Elements {
                elements: elements.into_iter().enumerate(),
            }),
            _ => self.wrong("an array"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        match self.0 {
            Json::Object(members) => visitor.visit_map(Members::new(members)),
            _ => self.wrong("an object"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        match self.0 {
            Json::String(text) => {
                let variant: StringDeserializer<JsonError> = text.into_deserializer();
                visitor.visit_enum(variant)
            }
            _ => self.wrong(&format!("one of {}", variants.join(", "))),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct map identifier
        ignored_any
    }
}

/// Elements of an array.
struct Elements {
    elements: Enumerate<vec::IntoIter<Json>>,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, JsonError> {
        let Some((index, element)) = self.elements.next() else {
            return Ok(None);
        };
        let value = seed.deserialize(Typed(element));
        value.map(Some).map_err(|error| error.in_element(index))
    }
}

/// Fields of an object.
struct Members {
    members: vec::IntoIter<(String, Json)>,
    /// The field whose name was read last.
    current: Option<(String, Json)>,
}

impl Members {
    fn new(members: Vec<(String, Json)>) -> Self {
        Self {
            members: members.into_iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, JsonError> {
        self.current = self.members.next();
        let Some((name, _)) = &self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, JsonError> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, JsonError> {
        let Some((name, value)) = self.current.take() else {
            return Err(JsonError::new("the value of no field is asked for"));
        };
        let value = seed.deserialize(Typed(value));
        value.map_err(|error| error.in_field(&name))
    }
}
