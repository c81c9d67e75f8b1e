//! Whose a call is, read only from where the operator said.
//!
//! A [`Source`] names one place of the request and, if need be, a pattern that cuts the name out of
//! what stands there. Sources are asked in order and the first usable value wins. Looking is the
//! host's part: this module gets bytes and decides whether they can be a name.
//!
//! A name ends up in metrics and in the access log. Control characters are refused here; all else,
//! such as quotes and semicolons, is kept, and each writer escapes what its own format needs.

use core::fmt;

use regex_lite::{Regex, RegexBuilder};

/// One place where a name may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request header, in lower case.
    Header(String),
    /// A claim that Envoy's `jwt_authn` has verified and put into its dynamic metadata.
    ///
    /// Envoy hands out text as bytes, but a number as a double of eight little-endian bytes: the
    /// host turns whole numbers into decimal text before it answers.
    Jwt {
        /// What `payload_in_metadata` says in Envoy's configuration.
        payload: String,
        /// The path to the claim, outermost name first, never empty.
        claim: Vec<String>,
    },
    /// The first subject alternative name of this type in the client's certificate.
    San(San),
    /// A field of the JSON request body.
    Body(Pointer),
}

/// The type of a subject alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum San {
    /// A URI, such as a SPIFFE id.
    Uri,
    /// A DNS name.
    Dns,
}

/// A place to look, and how to read the name out of what is found there.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where to look.
    pub origin: Origin,
    capture: Option<Regex>,
}

impl Source {
    /// The source at `origin`, whose name is what `capture` matches: its first group if it has one,
    /// else the whole match.
    ///
    /// # Errors
    ///
    /// Returns the fault of `capture` if it is no regular expression, or too large.
    pub fn new(origin: Origin, capture: Option<&str>) -> Result<Self, regex_lite::Error> {
        let compile = |text| RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
        Ok(Self { origin, capture: capture.map(compile).transpose()? })
    }

    /// The name in `raw`, if there is a usable one.
    fn read(&self, raw: &[u8]) -> Option<String> {
        let raw = raw.get(..MAX_RAW.min(raw.len())).filter(|kept| kept.len() == raw.len())?;
        let text = str::from_utf8(raw).ok()?.trim();
        let name = match &self.capture {
            Some(pattern) => cut(pattern, text)?.trim(),
            None => text,
        };
        is_name(name).then(|| name.to_owned())
    }
}

/// What stands at an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// These bytes, from whoever sent the request.
    Value(Vec<u8>),
    /// Nothing, and nothing will.
    Absent,
    /// Not known yet, because the body has not been read so far.
    NotYet,
}

/// What a list of sources came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This name: 1 to 128 bytes, without control characters.
    Value(String),
    /// No source has a usable value.
    Nothing,
    /// A source that counts for more than all that have answered waits for the body.
    NeedsBody,
}

/// Asks `sources` in order for the first usable value.
pub fn resolve(sources: &[Source], mut lookup: impl FnMut(&Origin) -> Lookup) -> Found {
    for source in sources {
        match lookup(&source.origin) {
            Lookup::NotYet => return Found::NeedsBody,
            Lookup::Absent => {}
            Lookup::Value(raw) => {
                if let Some(name) = source.read(&raw) {
                    return Found::Value(name);
                }
            }
        }
    }
    Found::Nothing
}

/// Whether any of `sources` looks into the request body.
#[must_use]
pub fn needs_body(sources: &[Source]) -> bool {
    sources.iter().any(|source| matches!(source.origin, Origin::Body(_)))
}

/// Whether `text` can be the name of a tenant, feature or user.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.contains(is_misleading)
}

/// Whether a character ends a line or turns the direction of what follows: either can make a line
/// of a log say what nobody wrote.
fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    let group = usize::from(pattern.captures_len() > 1);
    pattern.captures(text)?.get(group).map(|found| found.as_str())
}

/// A path into a JSON document, written as RFC 6901 says: `/metadata/user_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer to a field or an item. The whole document is none.
    ///
    /// # Errors
    ///
    /// Returns what the text must be, if it is no such pointer.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let tokens = text.strip_prefix('/').ok_or(
            "must be a JSON pointer, which begins with `/` and names a field, such as `/user`",
        )?;
        if text.contains(char::is_control) {
            return Err("must be a JSON pointer without control characters");
        }
        let tokens = tokens.split('/').map(unescaped).collect::<Option<Vec<_>>>();
        match tokens {
            None => Err("must be a JSON pointer, in which `~` is written `~0` and `/` is `~1`"),
            Some(tokens) if tokens.len() > MAX_DEPTH => {
                Err("must be a JSON pointer of at most 8 names")
            }
            Some(tokens) => Ok(Self(tokens)),
        }
    }

    /// The names on the way, outermost first, unescaped. There are 1 to 8.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// The name that a token stands for, or `None` where a `~` is followed by neither 0 nor 1.
fn unescaped(token: &str) -> Option<String> {
    let mut pieces = token.split('~');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = match piece.strip_prefix('0') {
            Some(rest) => {
                name.push('~');
                rest
            }
            None => {
                let rest = piece.strip_prefix('1')?;
                name.push('/');
                rest
            }
        };
        name.push_str(rest);
    }
    Some(name)
}

/// Bytes of a name: every label value costs memory in Envoy for as long as it runs.
const MAX_NAME: usize = 128;
/// Bytes that a pattern may be run over: a header can be 60 KiB long, and matching takes time in
/// proportion to the value and the pattern.
const MAX_RAW: usize = 4_096;
/// Bytes of memory that a compiled pattern may take in each worker.
const MAX_PATTERN: usize = 256 * 1_024;
/// Names in a pointer: whoever follows it keeps one state per level.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, capture: Option<&str>) -> Source {
        Source::new(Origin::Header(name.to_owned()), capture).unwrap()
    }

    fn body(pointer: &str) -> Source {
        Source::new(Origin::Body(Pointer::parse(pointer).unwrap()), None).unwrap()
    }

    #[test]
    fn a_value_is_used_or_passed_over() {
        let long = "x".repeat(MAX_NAME + 1);
        let huge = ["org_".to_owned(), " ".repeat(MAX_RAW)].concat();
        #[rustfmt::skip]
        let cases: [(_, _, &[u8], _); 18] = [
            // name                         capture               value                  expected
            ("plain",                       None,                 b"acme",               Some("acme")),
            ("trimmed",                     None,                 b"  acme\t",           Some("acme")),
            ("quotes and semicolons stay",  None,                 b"a;\"b\"=c",          Some("a;\"b\"=c")),
            ("not ASCII",                   None,                 "Zürich".as_bytes(),   Some("Zürich")),
            ("empty",                       None,                 b"",                   None),
            ("only blanks",                 None,                 b"   ",                None),
            ("not UTF-8",                   None,                 b"ac\xffme",           None),
            ("control character",           None,                 b"ac\nme",             None),
            ("longest",                     None,                 &long.as_bytes()[1..], Some(&long[1..])),
            ("too long",                    None,                 long.as_bytes(),       None),
            ("group 1",                     Some("^org_(a|b)$"),  b"org_b",              Some("b")),
            ("whole match without a group", Some("[a-z]+"),       b"12ab34",             Some("ab")),
            ("no match",                    Some("^org_(a|b)$"),  b"org_c",              None),
            ("group takes no part",         Some("x|(y)"),        b"x",                  None),
            ("empty group",                 Some("^org_(.*)$"),   b"org_",               None),
            ("trimmed before and after",    Some("^org(.*)$"),    b" org a ",            Some("a")),
            ("a cut from a long value",     Some("^x{3}"),        long.as_bytes(),       Some("xxx")),
            ("too long to search",          Some("^org"),         huge.as_bytes(),       None),
        ];
        for (name, capture, value, expected) in cases {
            let source = header("x", capture);
            assert_eq!(source.read(value).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_first_usable_source_wins_and_none_is_overtaken() {
        use Lookup::{Absent, NotYet, Value};
        let value = |text: &str| Value(text.as_bytes().to_vec());
        let found = |text: &str| Found::Value(text.to_owned());
        let sources = [header("a", None), body("/user"), header("b", None)];
        #[rustfmt::skip]
        let cases = [
            // name                             a           /user         b            expected
            ("first",                           value("1"), NotYet,       value("3"),  found("1")),
            ("body before a later header",      Absent,     NotYet,       value("3"),  Found::NeedsBody),
            ("unusable is passed over",         value(" "), value("2"),   value("3"),  found("2")),
            ("last",                            Absent,     value("\n"),  value("3"),  found("3")),
            ("nothing",                         Absent,     Absent,       value(""),   Found::Nothing),
        ];
        for (name, a, user, b, expected) in cases {
            let got = resolve(&sources, |origin| match origin {
                Origin::Header(h) if h == "a" => a.clone(),
                Origin::Header(_) => b.clone(),
                _ => user.clone(),
            });
            assert_eq!(got, expected, "{name}");
        }
        assert_eq!(resolve(&[], |_| NotYet), Found::Nothing);
    }

    #[test]
    fn only_body_sources_need_the_body() {
        assert!(needs_body(&[header("a", None), body("/user")]));
        assert!(!needs_body(&[header("a", None)]));
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused() {
        for pattern in ["(", "a{2000}{2000}"] {
            assert!(Source::new(Origin::San(San::Uri), Some(pattern)).is_err(), "{pattern}");
        }
    }

    #[test]
    fn pointers_are_read_as_the_rfc_says() {
        #[rustfmt::skip]
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("/user",              Some(&["user"])),
            ("/metadata/user_id",  Some(&["metadata", "user_id"])),
            ("/messages/0/name",   Some(&["messages", "0", "name"])),
            ("/a~1b/~01",          Some(&["a/b", "~1"])),
            ("/",                  Some(&[""])),
            ("/1/2/3/4/5/6/7/8",   Some(&["1", "2", "3", "4", "5", "6", "7", "8"])),
            ("/1/2/3/4/5/6/7/8/9", None),
            ("",                   None),
            ("user",               None),
            ("/a~2",               None),
            ("/a~",                None),
            ("/a\0b",              None),
        ];
        for &(text, tokens) in cases {
            let pointer = Pointer::parse(text);
            assert_eq!(
                pointer.as_ref().ok().map(|p| p.tokens().len()),
                tokens.map(<[_]>::len),
                "{text}"
            );
            if let (Ok(pointer), Some(tokens)) = (pointer, tokens) {
                assert_eq!(pointer.tokens(), tokens, "{text}");
                assert_eq!(pointer.to_string(), text);
            }
        }
    }
}
