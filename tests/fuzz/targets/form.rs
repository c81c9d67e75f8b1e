//! Forms: what a request's fields say is what was put into them, files aside, wherever it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::provider::Api;
use tollgate::request::{Body, Questions, Said};
use tollgate_fuzz::Input;

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let body = input.body;
    let whole = read(&mut [body].into_iter());
    for cut in [read(&mut input.pieces(body)), read(&mut body.chunks(1))] {
        assert_eq!(format!("{cut:?}"), format!("{whole:?}"));
    }

    let (mut form, mut model, mut user) = (b"preamble\r\n".to_vec(), None, None);
    for part in body.split(|byte| *byte == 0xff) {
        let Some((&kind, text)) = part.split_first() else { continue };
        let is_delimiter = |window: &[u8]| window == b"\r\n--b";
        if [b"\r\n", text].concat().windows(5).any(is_delimiter) {
            continue;
        }
        let text_read = String::from_utf8_lossy(text).into_owned();
        let head = match kind & 7 {
            0 => "content-disposition: form-data; name=\"file\"; filename=\"x\"",
            1 => "Content-Disposition: form-data; name=\"model\"; filename=\"model\"",
            2 => "Content-Type: text/plain\r\nContent-Disposition:form-data;name=\"other\"",
            3 | 4 => {
                user = kept(text, text_read, user);
                "Content-Disposition: form-data; name=user\r\nContent-Type: text/plain"
            }
            _ => {
                model = kept(text, text_read, model);
                "CONTENT-DISPOSITION: form-data; NAME=\"model\""
            }
        };
        form.extend([b"--b\r\n", head.as_bytes(), b"\r\n\r\n", text, b"\r\n"].concat());
    }
    form.extend(
        b"--b--\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nno\r\n--b--",
    );
    let said = read(&mut input.pieces(&form));
    assert_eq!((said.model, &said.values), (model, &vec![user]));
});

/// What a field says now; one that is too long to be a name says nothing.
fn kept(text: &[u8], read: String, before: Option<String>) -> Option<String> {
    if text.len() > 4096 { before } else { Some(read) }
}

fn read(pieces: &mut dyn Iterator<Item = &[u8]>) -> Said {
    let user = ["user".to_owned()];
    let questions = Questions::new(Api::OpenAiTranscriptions, &[&user]);
    let mut body = Body::new(&questions, "multipart/form-data; boundary=b");
    pieces.for_each(|piece| body.feed(piece));
    body.end()
}
