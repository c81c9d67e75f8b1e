//! Reads a `google.protobuf.Struct`, as which Envoy hands on a configuration written in YAML.
//!
//! Envoy unpacks only `StringValue` and `BytesValue`; of a `Struct` the plugin gets the serialised
//! bytes. What is no such message is `None`: the caller then complains about the JSON it is not.

use serde_json::{Map, Number, Value};

/// The JSON object that a serialised `Struct` stands for.
pub(super) fn object(bytes: &[u8]) -> Option<Value> {
    fields(bytes, MAX_DEPTH).map(Value::Object)
}

fn fields(bytes: &[u8], depth: u32) -> Option<Map<String, Value>> {
    let depth = depth.checked_sub(1)?;
    let mut map = Map::new();
    for field in Fields(bytes) {
        let Field(1, Payload::Bytes(entry)) = field? else { return None };
        let (mut key, mut value) = (String::new(), Value::Null);
        for field in Fields(entry) {
            match field? {
                Field(1, Payload::Bytes(text)) => key = String::from_utf8(text.to_vec()).ok()?,
                Field(2, Payload::Bytes(inner)) => value = self::value(inner, depth)?,
                Field(..) => return None,
            }
        }
        map.insert(key, value);
    }
    Some(map)
}

fn value(bytes: &[u8], depth: u32) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut value = Value::Null;
    for field in Fields(bytes) {
        value = match field? {
            Field(1, Payload::Number(_)) => Value::Null,
            Field(2, Payload::Double(number)) => Value::Number(Number::from_f64(number)?),
            Field(3, Payload::Bytes(text)) => String::from_utf8(text.to_vec()).ok()?.into(),
            Field(4, Payload::Number(flag)) => (flag != 0).into(),
            Field(5, Payload::Bytes(inner)) => Value::Object(fields(inner, depth)?),
            Field(6, Payload::Bytes(inner)) => list(inner, depth)?,
            Field(..) => return None,
        };
    }
    Some(value)
}

fn list(bytes: &[u8], depth: u32) -> Option<Value> {
    let items = Fields(bytes).map(|field| match field? {
        Field(1, Payload::Bytes(item)) => value(item, depth),
        Field(..) => None,
    });
    items.collect::<Option<Vec<_>>>().map(Value::Array)
}

/// A field's number and payload.
struct Field<'a>(u64, Payload<'a>);

enum Payload<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The fields of a message; `None` where it breaks off, and nothing behind that.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let payload = match tag & 7 {
            0 => Payload::Number(self.varint()?),
            1 => Payload::Double(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Payload::Bytes(self.take(len)?)
            }
            _ => return None,
        };
        Some(Field(tag >> 3, payload))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let &byte = self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }
}

/// Deeper than any configuration is.
const MAX_DEPTH: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(number: u8, inner: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(inner.len()).unwrap()], inner].concat()
    }

    fn entry(key: &str, value: &[u8]) -> Vec<u8> {
        message(1, &[message(1, key.as_bytes()), message(2, value)].concat())
    }

    fn number(value: f64) -> Vec<u8> {
        [&[2 << 3 | 1][..], &value.to_le_bytes()].concat()
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let items = [message(1, &number(0.5)), message(1, &[4 << 3, 0])].concat();
        let bytes = [
            entry("text", &message(3, "ü".as_bytes())),
            entry("number", &number(10_000.0)),
            entry("flag", &[4 << 3, 1]),
            entry("nothing", &[1 << 3, 0]),
            entry("list", &message(6, &items)),
            entry("object", &message(5, &entry("empty", &[]))),
        ];
        let expected = json!({"text": "ü", "number": 10_000.0, "flag": true, "nothing": null,
            "list": [0.5, false], "object": {"empty": null}});
        let bytes = bytes.concat();
        assert_eq!(object(&bytes), Some(expected));
        let whole = (1..bytes.len()).filter(|&end| object(&bytes[..end]).is_some());
        assert!(whole.count() < 6, "cut in the middle of a field, it must not pass for whole");
    }

    #[test]
    fn other_bytes_are_no_struct() {
        for bytes in [
            &b"{\"a\":1}"[..],
            b"\n\n{}",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x12\x00",
        ] {
            assert_eq!(object(bytes), None, "{bytes:?}");
        }
        let mut deep = entry("a", &[]);
        for _ in 0..20 {
            deep = entry("a", &message(5, &deep));
        }
        assert_eq!(object(&deep), None);
    }
}
