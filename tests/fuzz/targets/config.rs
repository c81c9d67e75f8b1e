//! Configurations: no panic; what is taken can be used; as a `Struct` they mean the same as as JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use tollgate::config::Config;
use tollgate::money::NanoUsd;
use tollgate::price::Override;

fuzz_target!(|bytes: &[u8]| {
    match Config::parse(bytes) {
        Ok(config) => assert_usable(&config),
        Err(error) => {
            assert!(!error.faults().is_empty());
            assert!(error.faults().iter().all(|fault| !fault.must.is_empty()));
        }
    }
    if let Ok(Value::Object(object)) = serde_json::from_slice(bytes) {
        let text = Value::Object(object.clone()).to_string();
        let as_json = Config::parse(text.as_bytes()).ok();
        let as_struct = Config::parse(&fields(&object)).ok();
        assert_eq!(format!("{as_struct:?}"), format!("{as_json:?}"));
    }
});

fn assert_usable(config: &Config) {
    for price in &config.prices {
        let rates: Vec<_> =
            price.rates.iter().map(|(&unit, &nanos)| (unit, NanoUsd::new(nanos))).collect();
        let made = Override::new(price.provider.as_deref(), &price.model, &rates);
        assert!(made.is_ok(), "{price:?}");
    }
}

/// The bytes of a `google.protobuf.Struct`.
fn fields(object: &Map<String, Value>) -> Vec<u8> {
    let entry = |(key, value): (&String, &Value)| {
        message(1, &[message(1, key.as_bytes()), message(2, &self::value(value))].concat())
    };
    object.iter().flat_map(entry).collect()
}

fn value(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![1 << 3, 0],
        Value::Number(number) => {
            let double = number.as_f64().expect("a finite number");
            [&[2 << 3 | 1][..], &double.to_le_bytes()].concat()
        }
        Value::String(text) => message(3, text.as_bytes()),
        Value::Bool(flag) => vec![4 << 3, u8::from(*flag)],
        Value::Object(object) => message(5, &fields(object)),
        Value::Array(items) => {
            let items: Vec<u8> =
                items.iter().flat_map(|item| message(1, &self::value(item))).collect();
            message(6, &items)
        }
    }
}

fn message(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut len = inner.len();
    while len > 127 {
        bytes.push(u8::try_from(len & 127).expect("seven bits") | 128);
        len >>= 7;
    }
    bytes.push(u8::try_from(len).expect("seven bits"));
    [bytes.as_slice(), inner].concat()
}
