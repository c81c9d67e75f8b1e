//! What a call probably used, where the provider does not say.
//!
//! An estimate is never silent: the record of such a call says `estimated`.

use crate::provider::{Evidence, Reported};
use crate::request::Said;
use crate::usage::{Unit, Usage};

/// The usage of a call whose answer came, in part at least, without final counts.
///
/// What the provider has reported so far is kept where it is more than the bytes suggest.
#[must_use]
pub fn of_answer(said: &Said, evidence: &Evidence) -> Reported {
    let seen = evidence.reported.clone().unwrap_or_default();
    let unread = evidence.unread_bytes.div_ceil(UNREAD_BYTES_PER_TOKEN);
    let written = tokens(evidence.text_bytes).max(unread);
    let mut usage = seen.usage;
    if usage.input_tokens() == 0 {
        usage.add(Unit::Input, tokens(said.bytes));
    }
    usage.add(Unit::Output, written.saturating_sub(usage.output_tokens()));
    Reported { usage, ..seen }
}

/// The usage that a request may come to: its prompt by its bytes, at most `context` tokens where
/// that is known, and the longest answer it asks for.
#[must_use]
pub fn of_request(said: &Said, context: Option<u64>) -> Usage {
    let input = tokens(said.bytes).min(context.unwrap_or(u64::MAX));
    let output = said.max_output.unwrap_or(DEFAULT_OUTPUT).min(MOST_OUTPUT);
    Usage::default().with(Unit::Input, input).with(Unit::Output, output)
}

/// The usage of a call that was sent and never answered: the provider may have done all of it.
#[must_use]
pub fn of_silence(said: &Said) -> Reported {
    let output = said.max_output.unwrap_or(DEFAULT_OUTPUT).min(MOST_OUTPUT);
    let usage = Usage::default().with(Unit::Input, tokens(said.bytes)).with(Unit::Output, output);
    Reported { usage, ..Reported::default() }
}

const fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// English text has about four bytes a token; JSON around it makes up for denser languages.
const BYTES_PER_TOKEN: u64 = 4;
/// A body that cannot be read is most likely compressed, to a third or so of its text.
const UNREAD_BYTES_PER_TOKEN: u64 = 2;
/// The output expected of a request that names no maximum.
const DEFAULT_OUTPUT: u64 = 4_096;
/// The largest output that any model can have; a request may ask for more.
const MOST_OUTPUT: u64 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: u64, max_output: Option<u64>) -> Said {
        Said { bytes, max_output, ..Said::default() }
    }

    #[test]
    fn an_answer_counts_by_its_text_and_no_less_than_was_reported() {
        let reported = |usage| Some(Reported { usage, ..Reported::default() });
        let partial = Usage::default().with(Unit::Input, 9).with(Unit::Reasoning, 30);
        #[rustfmt::skip]
        let cases = [
            // reported                    text  input  output
            (None,                         401,  25,    101),
            (reported(Usage::default()),   0,    25,    0),
            (reported(partial),            40,   9,     30),
            (reported(partial),            400,  9,     100),
        ];
        for (reported, text_bytes, input, output) in cases {
            let evidence = Evidence { reported, text_bytes, ..Evidence::default() };
            let usage = of_answer(&said(100, None), &evidence).usage;
            assert_eq!((usage.input_tokens(), usage.output_tokens()), (input, output));
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_free() {
        let evidence = Evidence { unread_bytes: 301, ..Evidence::default() };
        assert_eq!(of_answer(&said(4, None), &evidence).usage.output_tokens(), 151);
    }

    #[test]
    fn silence_counts_as_the_whole_answer() {
        let output = |max| of_silence(&said(8, max)).usage.output_tokens();
        assert_eq!([output(Some(50)), output(None), output(Some(u64::MAX))], [50, 4_096, 200_000]);
    }
}
