//! What a refused caller is told, in the shape of the API that it called.
//!
//! Provider SDKs turn a body of their own provider's shape into their own exception, with the
//! message that people then read. The `code` is for programs and never changes its meaning: each
//! shape carries it where its SDKs leave room for it.

use serde_json::{Value, json};

use crate::provider::{Api, Shape};

/// The body of a refusal with `status`, for programs by `code` and for people by `message`.
#[must_use]
pub fn body(shape: Shape, status: u16, code: &str, message: &str) -> Vec<u8> {
    let value = match shape {
        Shape::OpenAi => openai(status, code, message),
        Shape::Anthropic => anthropic(status, code, message),
        Shape::Google => google(status, code, message),
        Shape::Bedrock => json!({"message": message, "code": code}),
        Shape::Cohere => json!({"message": message, "code": code}),
        Shape::Plain => json!({"error": message, "code": code}),
    };
    value.to_string().into_bytes()
}

/// An event that tells the client of a stream, in the dialect of `api`, that it ends here.
#[must_use]
pub fn event(api: Api, code: &str, message: &str) -> Vec<u8> {
    let named = matches!(api.shape(), Shape::Anthropic) || api == Api::OpenAiResponses;
    let name: &[u8] = if named { b"event: error\n" } else { b"" };
    let data = match api {
        Api::OpenAiResponses => {
            let error = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": 0});
            error.to_string().into_bytes()
        }
        _ => body(api.shape(), 429, code, message),
    };
    [name, b"data: ", &data, b"\n\n"].concat()
}

/// The headers that go with such a body.
///
/// SDKs try again at 429 unless they are told not to. What is refused now is refused in a second.
#[must_use]
pub fn headers(shape: Shape, status: u16, retry_after: Option<u64>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if shape == Shape::Bedrock {
        headers.push(("x-amzn-errortype", aws_error(status).to_owned()));
    }
    if status == 429 {
        headers.push(("x-should-retry", "false".to_owned()));
    }
    headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
    headers
}

/// The error that AWS's SDKs raise.
const fn aws_error(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        402 => "ServiceQuotaExceededException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

fn openai(status: u16, code: &str, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn anthropic(status: u16, code: &str, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message, "code": code}})
}

fn google(status: u16, code: &str, message: &str) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let detail = json!({"@type": ERROR_INFO, "reason": code, "domain": "tollgate"});
    json!({"error": {"code": status, "message": message, "status": name, "details": [detail]}})
}

/// The type in which Google's errors carry a code for programs.
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_gets_its_own_shape() {
        let message = "Say \"who\"\nyou are: \u{1}ü\\";
        #[rustfmt::skip]
        let cases = [
            (Shape::OpenAi, 401, json!({"error": {
                "message": message, "type": "authentication_error", "param": null, "code": "c"}})),
            (Shape::OpenAi, 413, json!({"error": {
                "message": message, "type": "invalid_request_error", "param": null, "code": "c"}})),
            (Shape::OpenAi, 429, json!({"error": {
                "message": message, "type": "rate_limit_error", "param": null, "code": "c"}})),
            (Shape::Anthropic, 401, json!({"type": "error", "error": {
                "type": "authentication_error", "message": message, "code": "c"}})),
            (Shape::Anthropic, 413, json!({"type": "error", "error": {
                "type": "request_too_large", "message": message, "code": "c"}})),
            (Shape::Anthropic, 429, json!({"type": "error", "error": {
                "type": "rate_limit_error", "message": message, "code": "c"}})),
            (Shape::Google, 401, json!({"error": {
                "code": 401, "message": message, "status": "UNAUTHENTICATED",
                "details": [{"@type": ERROR_INFO, "reason": "c", "domain": "tollgate"}]}})),
            (Shape::Google, 413, json!({"error": {
                "code": 413, "message": message, "status": "INVALID_ARGUMENT",
                "details": [{"@type": ERROR_INFO, "reason": "c", "domain": "tollgate"}]}})),
            (Shape::Google, 429, json!({"error": {
                "code": 429, "message": message, "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": ERROR_INFO, "reason": "c", "domain": "tollgate"}]}})),
        ];
        for (shape, status, expected) in cases {
            let body = body(shape, status, "c", message);
            let read: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(read, expected, "{shape:?} {status}");
        }
    }

    #[test]
    fn only_a_429_tells_the_client_not_to_try_again() {
        assert_eq!(
            headers(Shape::OpenAi, 401, None),
            [("content-type", "application/json".to_owned())]
        );
        assert_eq!(headers(Shape::OpenAi, 413, None).len(), 1);
        let retry = ("x-should-retry", "false".to_owned());
        let told: Vec<_> = headers(Shape::OpenAi, 429, Some(9)).into_iter().skip(1).collect();
        assert_eq!(told, [retry, ("retry-after", "9".to_owned())]);
        let aws = headers(Shape::Bedrock, 429, None);
        assert!(aws.contains(&("x-amzn-errortype", "ThrottlingException".to_owned())), "{aws:?}");
    }
}
