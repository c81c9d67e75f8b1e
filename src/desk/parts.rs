//! The balances of a budget that counts by feature, model, provider or key: one for each.
//!
//! Names come from clients, and what is shared between workers is never deleted: so many parts of
//! one budget, and so many in all, have a record each; all others of a budget share one.

use std::borrow::Cow;

use crate::scope::{self, Scope};
use crate::shared::{NAMESPACE, Shared, admit, number, update};
use crate::sync::Budget;

/// The id of the balance in which such a call counts.
pub(super) fn id<'a>(
    shared: &mut impl Shared,
    budget: &'a Budget,
    call: &Scope<'_>,
) -> Cow<'a, str> {
    if budget.per.is_empty() {
        return Cow::Borrowed(&budget.id);
    }
    let crowd = scope::crowd(&budget.per);
    let part = scope::part(&budget.per, call);
    let part = if part == crowd || has_room(shared, &budget.id, &part) { part } else { crowd };
    Cow::Owned(scope::id(&budget.id, &part))
}

/// Whether a part has a record of its own, or gets one.
fn has_room(shared: &mut impl Shared, budget: &str, part: &str) -> bool {
    let (all, id) = (format!("{NAMESPACE}{ALL}"), scope::id(budget, part));
    if shared.load(&format!("{all}/{id}")).is_some() {
        return true;
    }
    if shared.load(&all).is_some_and(|(count, _)| number(&count) >= MAX_ALL) {
        return false;
    }
    // The budget's own room first: one whose names are made up is not to fill that of all.
    let mut room = |set: &str, member: &str, max| admit(shared, set, member, max).unwrap_or(false);
    let fits = room(&format!("{ALL}-of/{budget}"), part, MAX_EACH) && room(ALL, &id, MAX_ALL);
    if fits {
        list(shared, budget, part);
    }
    fits
}

/// Notes a part among those of its budget. Where this fails, its lease comes back when it is idle.
fn list(shared: &mut impl Shared, budget: &str, part: &str) {
    let _ = update(shared, &listed(budget), |old| {
        let old = old.unwrap_or_default();
        let is_new = old.split(|&byte| byte == END).all(|other| other != part.as_bytes());
        (is_new.then(|| [old, part.as_bytes(), &[END]].concat()), ())
    });
}

/// The ids of all balances that a budget has here: itself, or its parts.
pub(super) fn all(shared: &impl Shared, budget: &Budget) -> Vec<String> {
    if budget.per.is_empty() {
        return vec![budget.id.clone()];
    }
    let list = shared.load(&listed(&budget.id)).map_or_else(Vec::new, |(list, _)| list);
    let parts = list.split(|&byte| byte == END).filter_map(|part| str::from_utf8(part).ok());
    let crowd = scope::crowd(&budget.per);
    let parts = parts.filter(|part| !part.is_empty()).chain([crowd.as_str()]);
    parts.map(|part| scope::id(&budget.id, part)).collect()
}

fn listed(budget: &str) -> String {
    format!("{NAMESPACE}{ALL}-list/{budget}")
}

/// What ends each part in a list: no name has it.
const END: u8 = b'\n';
/// The set of all parts.
const ALL: &str = "parts";

/// Parts of one budget: as many as there are features in metrics, and some.
pub(super) const MAX_EACH: u64 = 256;
/// Parts of all budgets together: some ten megabytes in Envoy.
const MAX_ALL: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Facet;
    use crate::shared::fake::Store;

    fn budget(id: &str) -> Budget {
        Budget { id: id.into(), per: vec![Facet::Feature], ..Budget::default() }
    }

    #[test]
    fn names_that_clients_make_up_share_one_record_in_the_end() {
        let mut store = Store::default();
        let (one, other) = (budget("b"), budget("c"));
        let mut of = |budget: &Budget, feature: &str| {
            let call = Scope { feature: Some(feature), ..Scope::default() };
            id(&mut store, budget, &call).into_owned()
        };
        for n in 0..MAX_EACH {
            assert_eq!(of(&one, &format!("f{n}")), format!("b/feature=f{n}"));
        }
        assert_eq!(of(&one, "one-more"), "b/feature=*");
        assert_eq!(of(&one, "f3"), "b/feature=f3", "a part that is in stays in");
        assert_eq!(of(&other, "one-more"), "c/feature=one-more");
        for n in 0..MAX_ALL {
            of(&one, &format!("flood{n}"));
        }
        assert_eq!(of(&other, "f0"), "c/feature=f0", "a flood of one budget does not fill others");
        let kept = usize::try_from(2 * (MAX_EACH + 2)).unwrap();
        assert_eq!(
            store.0.borrow().len(),
            kept + 5,
            "a key for each in two sets, their counts, and two lists"
        );
    }
}
