//! Reads the fields of a form, `multipart/form-data`, as it passes.
//!
//! Files are skipped, however long; of a field at most 4 KiB are kept.

/// Finds the fields of one form.
#[derive(Debug)]
pub(super) struct Form {
    /// A line end, two dashes and the boundary.
    delimiter: Vec<u8>,
    at: At,
    /// What of the body may be the beginning of a delimiter, or belongs to the head of a part.
    rest: Vec<u8>,
}

#[derive(Debug)]
enum At {
    /// In the head of a part, or before the first one.
    Head,
    /// In a part that is not asked for, or in what comes before the first.
    Skipped,
    /// In a field of this name, of which so much has come.
    Field(String, Vec<u8>),
    /// Behind the last part: what follows is not of the form.
    Over,
}

impl Form {
    /// A reader of the form that `content_type` announces, or `None` where that is none.
    pub(super) fn new(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
        })?;
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        let delimiter = ["\r\n--", boundary].concat().into_bytes();
        // The first boundary has no line before it.
        Some(Self { delimiter, at: At::Skipped, rest: b"\r\n".to_vec() })
    }

    /// Reads one chunk; `on_field` is told the name and the text of each field that it ends.
    pub(super) fn feed(&mut self, chunk: &[u8], on_field: &mut impl FnMut(&str, &[u8])) {
        let mut rest = core::mem::take(&mut self.rest);
        rest.extend_from_slice(chunk);
        // What is done with is dropped once for each chunk: a chunk may have thousands of parts.
        let mut done: usize = 0;
        while let Some(len) = self.step(rest.get(done..).unwrap_or_default(), on_field) {
            done = done.saturating_add(len);
        }
        rest.drain(..done.min(rest.len()));
        self.rest = rest;
    }

    /// Takes one step, and tells how far; `None` where it takes more to go on.
    fn step(&mut self, rest: &[u8], on_field: &mut impl FnMut(&str, &[u8])) -> Option<usize> {
        let len = match self.at {
            At::Head => return self.head(rest),
            At::Over => rest.len(),
            At::Skipped | At::Field(..) => self.content(rest, on_field),
        };
        (len > 0).then_some(len)
    }

    /// Reads what a part has in it, up to the next delimiter.
    fn content(&mut self, rest: &[u8], on_field: &mut impl FnMut(&str, &[u8])) -> usize {
        let found = memchr::memmem::find(rest, &self.delimiter);
        let keep = self.delimiter.len().saturating_sub(1);
        let end = found.unwrap_or_else(|| rest.len().saturating_sub(keep));
        if let At::Field(_, text) = &mut self.at
            && text.len() <= MAX_FIELD
        {
            let room = end.min(MAX_FIELD.saturating_add(1).saturating_sub(text.len()));
            text.extend_from_slice(rest.get(..room).unwrap_or_default());
        }
        if found.is_none() {
            return end;
        }
        if let At::Field(name, text) = core::mem::replace(&mut self.at, At::Head)
            && text.len() <= MAX_FIELD
        {
            on_field(&name, &text);
        }
        end.saturating_add(self.delimiter.len())
    }

    fn head(&mut self, rest: &[u8]) -> Option<usize> {
        if rest.starts_with(b"--") {
            self.at = At::Over;
            return Some(rest.len());
        }
        let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") else {
            let is_too_long = rest.len() > MAX_HEAD;
            if is_too_long {
                self.at = At::Skipped;
            }
            return is_too_long.then_some(0);
        };
        let head = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        self.at = match field_name(&head) {
            Some(name) => At::Field(name, Vec::new()),
            None => At::Skipped,
        };
        Some(end.saturating_add(4))
    }
}

/// The name of a part that is no file.
fn field_name(head: &str) -> Option<String> {
    let line = head.lines().find(|line| {
        line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"))
    })?;
    let parameter = |name: &str| {
        let parts = line.split(';').filter_map(|part| part.trim().split_once('='));
        let mut values = parts.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim_matches('"').to_owned())
    };
    if parameter("filename").is_some() || parameter("filename*").is_some() {
        return None;
    }
    parameter("name")
}

/// As the format has it.
const MAX_BOUNDARY: usize = 70;
/// The head of a part is a line or two.
const MAX_HEAD: usize = 4 * 1024;
/// A model or a name is short.
const MAX_FIELD: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = concat!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n",
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n",
        "Content-Type: audio/mpeg\r\n\r\n\r\n--c model\r\n--x\r\n",
        "--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b--\r\n",
        "Content-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--b\r\n",
        "Content-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--b--\r\n",
    );

    fn fields(content_type: &str, body: &str, size: usize) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let Some(mut form) = Form::new(content_type) else { return found };
        for chunk in body.as_bytes().chunks(size) {
            form.feed(chunk, &mut |name, text| {
                found.push((name.to_owned(), String::from_utf8_lossy(text).into_owned()));
            });
        }
        found
    }

    #[test]
    fn fields_are_found_wherever_the_body_is_cut() {
        let expected = [("model", "whisper-1"), ("empty", ""), ("stream", "true")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        for size in 1..=BODY.len() {
            let found = fields("multipart/form-data; boundary=b", BODY, size);
            assert_eq!(found, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn what_is_no_form_has_no_fields() {
        for content_type in
            ["application/json", "multipart/form-data", "multipart/mixed; boundary=b"]
        {
            assert_eq!(fields(content_type, BODY, 7), [], "{content_type}");
        }
        let quoted = fields("Multipart/Form-Data; charset=x; Boundary=\"b\"", BODY, 7);
        assert_eq!(quoted.first().map(|(name, _)| name.as_str()), Some("model"));
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut form = Form::new("multipart/form-data; boundary=b").unwrap();
        let mut feed = |bytes: &[u8]| {
            form.feed(bytes, &mut |_, _| panic!("no field ends"));
            assert!(form.rest.capacity() < 200_000);
        };
        feed(b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n");
        for _ in 0..100 {
            feed(&[b'x'; 50_000]);
        }
        feed(b"\r\n--b\r\n");
        for _ in 0..100 {
            feed(&[b'y'; 50_000]);
        }
    }

    #[test]
    fn many_parts_in_one_chunk_are_read_as_in_many() {
        let parts = "--b\r\n\r\n\r\n".repeat(20_000);
        let body = [&parts, BODY].concat();
        let whole = fields("multipart/form-data; boundary=b", &body, usize::MAX);
        assert_eq!(whole, fields("multipart/form-data; boundary=b", &body, 4_096));
        assert_eq!(whole, fields("multipart/form-data; boundary=b", BODY, usize::MAX));
    }
}
