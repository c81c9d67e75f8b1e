//! What `build.rs` has packed into the filter: unpacked where a worker first needs it.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// A part as it was before it was packed. Tests unpack all parts: none that is in the filter fails.
pub(crate) fn part(deflated: &[u8]) -> Option<Vec<u8>> {
    decompress_to_vec_with_limit(deflated, MAX).ok()
}

/// What a text of base64 says; `None` where it is none.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut decoded = Vec::with_capacity(text.len());
    for letters in text.chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            bits = (bits << 6) | letters.get(at).map_or(Some(0), |&letter| six(letter))?;
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        let whole = letters.len().checked_sub(1).filter(|&whole| whole > 0)?;
        decoded.extend(bytes.get(..whole)?);
    }
    Some(decoded)
}

/// The six bits that a letter of base64 stands for.
pub(crate) fn six(letter: u8) -> Option<u32> {
    let bits = match letter {
        b'A'..=b'Z' => letter.wrapping_sub(b'A'),
        b'a'..=b'z' => letter.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => letter.wrapping_sub(b'0').wrapping_add(52),
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(bits))
}

/// More than any part takes, in bytes.
const MAX: usize = 4 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_whole_or_not_at_all() {
        #[rustfmt::skip]
        let cases = [
            ("",         Some("")),
            ("Zg==",     Some("f")),
            ("Zm8=",     Some("fo")),
            ("Zm9v",     Some("foo")),
            ("Zm9vYg",   Some("foob")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zm9vY",    None),
            ("Zm9!",     None),
            ("é",        None),
        ];
        for (text, said) in cases {
            assert_eq!(base64(text).as_deref(), said.map(str::as_bytes), "{text}");
        }
    }
}
