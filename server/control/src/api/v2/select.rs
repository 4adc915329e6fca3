//! `fields=…`: an object with only the attributes asked for, straight from its struct.

use std::fmt::Display;

use serde::ser::{Error, Impossible, Serialize, SerializeMap, SerializeStruct, Serializer};

/// An object of which only some attributes are written; all, if none are named.
pub struct Selected<'a, T> {
    /// The object: a struct.
    pub value: T,
    /// Names of attributes; unknown ones are ignored, as Neutron does.
    pub fields: &'a [String],
}

impl<T: Serialize> Serialize for Selected<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.fields.is_empty() {
            self.value.serialize(serializer)
        } else {
            self.value.serialize(Select {
                inner: serializer,
                fields: self.fields,
            })
        }
    }
}

struct Select<'a, S> {
    inner: S,
    fields: &'a [String],
}

struct Only<'a, M> {
    map: M,
    fields: &'a [String],
    /// Whether the key that was written last is wanted.
    wanted: bool,
}

impl<M: SerializeMap> Only<'_, M> {
    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), M::Error> {
        if self.fields.iter().any(|field| field == key) {
            self.map.serialize_entry(key, value)
        } else {
            Ok(())
        }
    }
}

impl<M: SerializeMap> SerializeStruct for Only<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), M::Error> {
        self.entry(key, value)
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.map.end()
    }
}

impl<M: SerializeMap> SerializeMap for Only<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), M::Error> {
        let name = key.serialize(Key).map_err(M::Error::custom)?;
        self.wanted = self.fields.contains(&name);
        if self.wanted {
            self.map.serialize_key(&name)
        } else {
            Ok(())
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), M::Error> {
        if self.wanted {
            self.map.serialize_value(value)
        } else {
            Ok(())
        }
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.map.end()
    }
}

/// Why a value is not what was expected; never seen by anybody, since all our answers are structs.
#[derive(Debug)]
struct Unexpected;

impl Display for Unexpected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("only objects have attributes to select")
    }
}

impl std::error::Error for Unexpected {}

impl Error for Unexpected {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

macro_rules! refuse {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<$ok, Self::Error> {
            Err(Self::Error::custom(Unexpected))
        })*
    };
}

macro_rules! refuse_values {
    () => {
        refuse! {
            serialize_bool(bool) -> Self::Ok;
            serialize_i8(i8) -> Self::Ok;
            serialize_i16(i16) -> Self::Ok;
            serialize_i32(i32) -> Self::Ok;
            serialize_i64(i64) -> Self::Ok;
            serialize_u8(u8) -> Self::Ok;
            serialize_u16(u16) -> Self::Ok;
            serialize_u32(u32) -> Self::Ok;
            serialize_u64(u64) -> Self::Ok;
            serialize_f32(f32) -> Self::Ok;
            serialize_f64(f64) -> Self::Ok;
            serialize_char(char) -> Self::Ok;
            serialize_bytes(&[u8]) -> Self::Ok;
            serialize_none() -> Self::Ok;
            serialize_unit() -> Self::Ok;
            serialize_unit_struct(&'static str) -> Self::Ok;
            serialize_unit_variant(&'static str, u32, &'static str) -> Self::Ok;
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
        }

        fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Self::Ok, Self::Error> {
            Err(Self::Error::custom(Unexpected))
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<Self::Ok, Self::Error> {
            value.serialize(self)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, Self::Error> {
            Err(Self::Error::custom(Unexpected))
        }
    };
}

impl<'a, S: Serializer> Serializer for Select<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Only<'a, S::SerializeMap>;
    type SerializeStruct = Only<'a, S::SerializeMap>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    refuse_values!();

    refuse! {
        serialize_str(&str) -> S::Ok;
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Only {
            map: self.inner.serialize_map(None)?,
            fields: self.fields,
            wanted: false,
        })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.serialize_map(None)
    }
}

/// Reads the name out of a map's key.
struct Key;

impl Serializer for Key {
    type Ok = String;
    type Error = Unexpected;
    type SerializeSeq = Impossible<String, Unexpected>;
    type SerializeTuple = Impossible<String, Unexpected>;
    type SerializeTupleStruct = Impossible<String, Unexpected>;
    type SerializeTupleVariant = Impossible<String, Unexpected>;
    type SerializeMap = Impossible<String, Unexpected>;
    type SerializeStruct = Impossible<String, Unexpected>;
    type SerializeStructVariant = Impossible<String, Unexpected>;

    refuse_values!();

    refuse! {
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }

    fn serialize_str(self, name: &str) -> Result<String, Unexpected> {
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::to_string;

    use super::*;

    #[derive(Serialize)]
    struct Plain {
        id: u8,
        name: &'static str,
        #[serde(flatten)]
        more: Option<More>,
    }

    #[derive(Serialize)]
    struct More {
        #[serde(rename = "a:b")]
        ab: [u8; 2],
    }

    #[test]
    fn only_what_is_asked_for_is_written() {
        let check = |fields: &[&str], expected: &str| {
            let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            let value = Plain {
                id: 1,
                name: "x",
                more: Some(More { ab: [1, 2] }),
            };
            assert_eq!(to_string(&Selected { value, fields: &fields }).unwrap(), expected);
        };
        check(&[], r#"{"id":1,"name":"x","a:b":[1,2]}"#);
        check(&["a:b", "id", "nonsense"], r#"{"id":1,"a:b":[1,2]}"#);
        check(&["nonsense"], "{}");
        let fields = ["ab".to_owned()];
        let value = More { ab: [1, 2] };
        assert_eq!(to_string(&Selected { value, fields: &fields }).unwrap(), "{}");
    }
}
