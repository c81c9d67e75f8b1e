//! What all workers of a process share.

#[cfg(test)]
pub(crate) mod fake;

/// A versioned key-value store shared by all workers.
///
/// The host owns the data; a version read with a value must be given back to replace it. Nothing
/// is ever deleted, so the number of keys must be bounded by whoever writes them.
pub trait Shared {
    /// Reads the value and its version, or `None` if the key was never written.
    fn load(&self, key: &str) -> Option<(Vec<u8>, Version)>;

    /// Writes `value` if the key is still at `version`, or still absent if that is `None`.
    ///
    /// # Errors
    ///
    /// Returns [`Conflict`] if another worker wrote first.
    fn store(&mut self, key: &str, value: &[u8], version: Option<Version>) -> Result<(), Conflict>;
}

/// The version of a value that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

/// Another worker wrote first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict;

/// Reads the value at `key`, lets `change` make a new one of it, and writes that. What `change`
/// returns beside the value is the result; where it returns no value, nothing is written.
///
/// # Errors
///
/// Returns [`Conflict`] after [`ATTEMPTS`] lost races: to retry without bound would stall the
/// worker, which serves every other request too.
pub fn update<T>(
    shared: &mut impl Shared,
    key: &str,
    mut change: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, T),
) -> Result<T, Conflict> {
    for _ in 0..ATTEMPTS {
        let (old, version) = shared.load(key).map_or((None, None), |(b, v)| (Some(b), Some(v)));
        let (new, result) = change(old.as_deref());
        match new {
            None => return Ok(result),
            Some(new) if shared.store(key, &new, version).is_ok() => return Ok(result),
            Some(_) => {}
        }
    }
    Err(Conflict)
}

/// Adds one to the counter at `key` if it is below `max`, and returns the new total; `None` if it
/// is not.
///
/// # Errors
///
/// Returns [`Conflict`] as [`update`] does.
pub fn count_up(shared: &mut impl Shared, key: &str, max: u64) -> Result<Option<u64>, Conflict> {
    update(shared, key, |old| {
        let total = old.map_or(0, number);
        let more = total.checked_add(1).filter(|&more| more <= max);
        (more.map(|more| more.to_le_bytes().to_vec()), more)
    })
}

/// The number that a value of eight bytes stands for; any other value is zero.
#[must_use]
pub fn number(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_le_bytes)
}

/// FNV-1a, to tell names apart in little room; not against those who look for collisions.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whether `member` belongs to `set`; it is taken in if the set has fewer than `max` members.
///
/// Two workers that take in the same member at once may use up two places for it: the set errs
/// towards being smaller than `max`.
///
/// # Errors
///
/// Returns [`Conflict`] as [`count_up`] does.
pub fn admit(
    shared: &mut impl Shared,
    set: &str,
    member: &str,
    max: u64,
) -> Result<bool, Conflict> {
    let key = format!("{NAMESPACE}{set}/{member}");
    if shared.load(&key).is_some() {
        return Ok(true);
    }
    if count_up(shared, &format!("{NAMESPACE}{set}"), max)?.is_none() {
        return Ok(false);
    }
    // If another worker was first, the member is in all the same.
    let _ = shared.store(&key, &1_u64.to_le_bytes(), None);
    Ok(true)
}

/// Whether `member` has not been met before, as far as this process remembers: the last 32,768 or so
/// of each set. A member whose race is lost counts as new.
pub fn is_new(shared: &mut impl Shared, set: &str, member: &str) -> bool {
    let hash = hash(member.as_bytes());
    let key = format!("{NAMESPACE}{set}/{}", hash % BUCKETS);
    let hash = hash.to_le_bytes();
    let met = update(shared, &key, |old| {
        let old = old.unwrap_or_default();
        if old.as_chunks::<8>().0.contains(&hash) {
            return (None, true);
        }
        let kept = old.len().saturating_sub(BUCKET.saturating_sub(hash.len()));
        (Some([old.get(kept..).unwrap_or_default(), &hash].concat()), false)
    });
    met != Ok(true)
}

/// Keys over which the members of a set that forgets are spread.
const BUCKETS: u64 = 4_096;
/// Bytes in each of them: eight members.
const BUCKET: usize = 64;
/// Races that one worker may lose in a row: with as many workers as cores, each loses few.
pub const ATTEMPTS: u32 = 16;
/// Before every key: Istio gives all plugins one store.
pub const NAMESPACE: &str = "tollgate/1/";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A store that loses the first few races, each to a worker that counts up.
    #[derive(Default)]
    struct Fake {
        values: BTreeMap<String, (Vec<u8>, u32)>,
        races: u32,
    }

    impl Shared for Fake {
        fn load(&self, key: &str) -> Option<(Vec<u8>, Version)> {
            self.values.get(key).map(|(value, version)| (value.clone(), Version(*version)))
        }

        fn store(
            &mut self,
            key: &str,
            value: &[u8],
            version: Option<Version>,
        ) -> Result<(), Conflict> {
            let (mut now, mut at) = self.values.get(key).cloned().unwrap_or_default();
            if self.races > 0 {
                self.races = self.races.saturating_sub(1);
                now = (number(&now) + 1).to_le_bytes().to_vec();
                at += 1;
                self.values.insert(key.into(), (now, at));
            }
            if version.map_or(0, |version| version.0) != at {
                return Err(Conflict);
            }
            self.values.insert(key.into(), (value.to_vec(), at + 1));
            Ok(())
        }
    }

    #[test]
    fn a_lost_race_is_retried_on_the_fresh_value() {
        let mut fake = Fake { races: 3, ..Fake::default() };
        assert_eq!(count_up(&mut fake, "n", 10), Ok(Some(4)));
    }

    #[test]
    fn races_without_end_give_up() {
        let mut fake = Fake { races: u32::MAX, ..Fake::default() };
        assert_eq!(count_up(&mut fake, "n", u64::MAX), Err(Conflict));
    }

    #[test]
    fn a_full_set_knows_its_members_and_takes_no_more() {
        let mut fake = Fake::default();
        let mut admit = |member| admit(&mut fake, "tenant", member, 2);
        let answers = ["a", "b", "c", "a", "b", "d"].map(|member| admit(member).unwrap());
        assert_eq!(answers, [true, true, false, true, true, false]);
    }
}
