//! The call in a line of an access log, wherever the operator put it.

use serde_json::Value;

/// What a line of an access log holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The `call` field of a call.
    Call(Value),
    /// No call: a request that is none, or a line of something else.
    Nothing,
    /// No JSON, or a `call` that is cut off.
    Broken,
}

/// Finds the call in a line. It is looked for under `call` and `tollgate_call`, then under every
/// other key, to a depth of six; as text, as Envoy writes it, or as an object.
#[must_use]
pub fn find(line: &str) -> Found {
    if line.trim().is_empty() {
        return Found::Nothing;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return Found::Broken };
    for name in ["call", "tollgate_call"] {
        match fields.remove(name) {
            // Envoy writes a field that a request does not have as null or as `-`.
            None | Some(Value::Null) => (),
            Some(Value::String(text)) if text == "-" => (),
            Some(value) => return call(value, 0).map_or(Found::Broken, Found::Call),
        }
    }
    call(Value::Object(fields), 0).map_or(Found::Nothing, Found::Call)
}

/// The call that a value is or holds.
fn call(value: Value, depth: usize) -> Option<Value> {
    match value {
        Value::Object(fields) if is_call(&fields) => Some(Value::Object(fields)),
        _ if depth >= DEPTH => None,
        Value::Object(fields) => {
            fields.into_iter().find_map(|(_, value)| call(value, depth.saturating_add(1)))
        }
        Value::Array(values) => {
            values.into_iter().find_map(|value| call(value, depth.saturating_add(1)))
        }
        Value::String(text) if text.starts_with('{') => {
            call(serde_json::from_str(&text).ok()?, depth.saturating_add(1))
        }
        _ => None,
    }
}

fn is_call(fields: &serde_json::Map<String, Value>) -> bool {
    let text = |name: &str| fields.get(name).is_some_and(Value::is_string);
    fields.get("v").is_some_and(Value::is_number) && text("id") && text("provider")
}

/// How deep a call may stand in a line: log formats nest a level or two.
const DEPTH: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"v":1,"id":"c","provider":"openai"}"#;

    #[test]
    fn a_call_is_found_wherever_it_stands() {
        let text = serde_json::to_string(CALL).unwrap();
        let call: Value = serde_json::from_str(CALL).unwrap();
        #[rustfmt::skip]
        let cases = [
            // line, whether there is a call
            (format!(r#"{{"call":{text}}}"#),                        Found::Call(call.clone())),
            (format!(r#"{{"tollgate_call":{text}}}"#),               Found::Call(call.clone())),
            (format!(r#"{{"call":"-","llm":{text}}}"#),              Found::Call(call.clone())),
            (format!(r#"{{"a":1,"b":{{"c":[{{"d":{text}}}]}}}}"#),   Found::Call(call.clone())),
            (format!(r#"{{"whatever":{CALL}}}"#),                    Found::Call(call.clone())),
            (CALL.to_owned(),                                        Found::Call(call)),
            (r#"{"call":"-","path":"/"}"#.to_owned(),                Found::Nothing),
            (r#"{"call":null}"#.to_owned(),                          Found::Nothing),
            (r#"{"note":"{not a call"}"#.to_owned(),                 Found::Nothing),
            (String::new(),                                          Found::Nothing),
            (r#"{"call":"{\"v\":1,\"id\":\"c"}"#.to_owned(),         Found::Broken),
            (r#"{"call":"{\"v\""#.to_owned(),                        Found::Broken),
            ("GET / 200".to_owned(),                                 Found::Broken),
        ];
        for (line, found) in cases {
            assert_eq!(find(&line), found, "{line}");
        }
    }
}
