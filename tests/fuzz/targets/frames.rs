//! AWS's event stream: frames with sound checksums around documents, plain and wrapped, in which
//! the usage is what serde_json finds, wherever they are cut; and frames with a wrong byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::provider::Api;
use tollgate_fuzz::{Input, counts, documents, read, totals};

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let documents = documents(input.body);
    let wrapped = input.choice & 1 != 0;
    let api = if wrapped { Api::BedrockInvokeStream } else { Api::BedrockConverseStream };
    let mut stream = Vec::new();
    for (line, _) in &documents {
        stream.extend(match wrapped {
            true => frame(
                "event",
                &[b"{\"p\":\"\\\"bytes\", \"bytes\":\"", &*base64(line), b"\"}"].concat(),
            ),
            false => frame("event", line),
        });
    }
    let said = read(&input, api, &stream);
    let usages = documents.iter().filter_map(|(_, tree)| tree.at(&["usage"]));
    let names = ["inputTokens", "outputTokens"];
    if let Some(expected) = counts(usages, names).filter(|_| !wrapped) {
        assert_eq!(totals(&said), expected);
    }
    let metrics = documents.iter().filter_map(|(_, tree)| tree.at(&[METRICS]));
    let rest =
        [&["usage"][..], &["message"], &["metadata"], &["inputTextTokenCount"], &["results"]];
    let is_bare = |place: &&[&str]| documents.iter().all(|(_, tree)| tree.at(place).is_none());
    let llama =
        [&["prompt_token_count"][..], &["generation_token_count"], &["images"], &["artifacts"]];
    if wrapped
        && rest.iter().chain(&llama).all(is_bare)
        && let Some(expected) = counts(metrics, ["inputTokenCount", "outputTokenCount"])
    {
        assert_eq!(totals(&said), expected);
    }

    // An exception is no answer, and what is no sound frame ends the reading.
    stream.extend(frame("exception", input.body));
    let said = read(&input, api, &stream);
    assert!(said.error);
    let at = usize::from(input.choice) * 7 % stream.len();
    stream[at] ^= input.choice | 1;
    read(&input, api, &stream);
});

const METRICS: &str = "amazon-bedrock-invocationMetrics";

fn frame(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":event-type", "chunk"), (":message-type", kind)] {
        headers.push(name.len() as u8);
        headers.extend(name.as_bytes());
        headers.extend([7, 0, value.len() as u8]);
        headers.extend(value.as_bytes());
    }
    let total = 16 + headers.len() + payload.len();
    let mut frame = [(total as u32).to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0, |bits, &byte| bits << 8 | usize::from(byte));
        let digits = [18, 12, 6, 0].map(|shift| DIGITS[bits >> shift & 63]);
        text.extend(&digits[..=three.len()]);
        text.extend(&b"=="[..3 - three.len()]);
    }
    text
}
