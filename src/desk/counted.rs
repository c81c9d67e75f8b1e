//! Units that count once: the ids of the plan's own unit, such as AI analyses, in one window.
//!
//! The first call of an id holds one unit; those that come while it is under way, or after it, hold
//! nothing. At its end it counts if it succeeded, or if others have come on its account; else the
//! id is free again. So it does not matter how many calls a unit takes, or how many at once.
//!
//! What one gateway has counted stands in shared data, as hashes. With a quota service, that has the
//! ids themselves, and the last word: what two gateways count is one unit there, and an id that is
//! new here is asked for before it is refused.

use crate::shared::{NAMESPACE, Shared, hash, number, update};
use crate::sync::Counted;

/// What a call has to do with the unit that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    unit: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nobody holds the unit, as far as is known here. It counts by itself, unless it enters.
    New,
    /// It is the first, and holds the unit.
    First,
    /// The unit is held or counted: it takes nothing.
    Later,
}

impl Turn {
    /// Joins the calls for a unit of a budget in a window, if there are any.
    pub(super) fn look(shared: &mut impl Shared, id: &str, window: u64, unit: &str) -> Self {
        Self { unit: unit.to_owned(), place: join(shared, (id, window), unit, false) }
    }

    /// Lets others come on its account, once it holds the unit. Returns whether another call was
    /// faster: then it needs to hold nothing.
    pub(super) fn enter(&mut self, shared: &mut impl Shared, id: &str, window: u64) -> bool {
        if self.place != Place::New {
            return false;
        }
        self.place = join(shared, (id, window), &self.unit, true);
        self.place == Place::Later
    }

    /// How much a call of this turn holds of a budget.
    pub(super) const fn need(&self) -> u64 {
        match self.place {
            Place::New | Place::First => 1,
            Place::Later => 0,
        }
    }

    /// The unit that it would be the first to count, as far as is known here.
    pub(super) fn new_unit(&self) -> Option<&str> {
        (self.place != Place::Later).then_some(&self.unit)
    }

    /// Leaves them at the end of the call. Returns how much it used, and the unit that this was.
    pub(super) fn leave(
        self,
        shared: &mut impl Shared,
        (id, window): (&str, u64),
        success: bool,
    ) -> (u64, String) {
        let Self { unit, place } = self;
        let print = print(&unit);
        let counts = match place {
            Place::New => Ok(success),
            Place::First => update(shared, &key(id, print), |old| {
                let Some(mut marks) = Marks::read(old, window) else { return (None, success) };
                let Some(state) = marks.of(print) else { return (None, success) };
                let counts = success || state == JOINED;
                (if counts { marks.with(print, COUNTED) } else { marks.without(print) }, counts)
            }),
            Place::Later => update(shared, &key(id, print), |old| {
                let Some(mut marks) = Marks::read(old, window) else { return (None, false) };
                match marks.of(print) {
                    _ if !success => (None, false),
                    // Who holds it now is not who held it then, and must count it.
                    Some(ALONE) => (marks.with(print, JOINED), false),
                    Some(_) => (None, false),
                    // Who held it was never sent to a provider.
                    None => (marks.with(print, COUNTED), true),
                }
            }),
        };
        // Where too many races are lost, it counts for this call too: the service knows better.
        (counts.unwrap_or(success).into(), unit)
    }

    /// Leaves them as if it had never come.
    pub(super) fn undo(self, shared: &mut impl Shared, (id, window): (&str, u64)) {
        let print = print(&self.unit);
        if self.place != Place::First {
            return;
        }
        // Where this fails, later calls take nothing, until one of them ends with success.
        let _ = update(shared, &key(id, print), |old| match Marks::read(old, window) {
            Some(mut marks) if marks.of(print).is_some() => (marks.without(print), ()),
            _ => (None, ()),
        });
    }
}

/// The place among the calls for a unit; where there are none, it `leads` them, or stays by itself.
fn join(shared: &mut impl Shared, (id, window): (&str, u64), unit: &str, leads: bool) -> Place {
    let print = print(unit);
    let place = update(shared, &key(id, print), |old| {
        let Some(mut marks) = Marks::read(old, window) else { return (None, Place::New) };
        match marks.of(print) {
            Some(ALONE) => (marks.with(print, JOINED), Place::Later),
            Some(_) => (None, Place::Later),
            // Without room to remember it, each call holds one, and the service tells.
            None if leads && !marks.is_full() => (marks.with(print, ALONE), Place::First),
            None => (None, Place::New),
        }
    });
    place.unwrap_or(Place::New)
}

/// Notes a unit that the service has counted.
pub(super) fn note(shared: &mut impl Shared, Counted { budget, window, unit }: &Counted) {
    let print = print(unit);
    // Where this fails, it is asked for again.
    let _ = update(shared, &key(budget, print), |old| {
        let Some(mut marks) = Marks::read(old, *window) else { return (None, ()) };
        if marks.of(print).is_some() || marks.is_full() {
            return (None, ());
        }
        (marks.with(print, COUNTED), ())
    });
}

/// Units that the service is asked for, and those that it has not counted.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    asked: Vec<Counted>,
    /// Until when they are believed not to be counted.
    denied: Vec<(Counted, u64)>,
}

impl Inquiry {
    /// Puts down a unit to be asked for, unless it has been a moment ago. Returns whether it is worth
    /// while to wait.
    pub(super) fn ask(&mut self, unit: Counted, now_ms: u64) -> bool {
        if self.asked.contains(&unit) {
            return true;
        }
        let denied = self.denied.iter().any(|(other, until)| *other == unit && now_ms < *until);
        let asks = !denied && self.asked.len() < MAX_ASKED;
        if asks {
            self.asked.push(unit);
        }
        asks
    }

    /// Takes those to be asked for now.
    pub(super) fn take(&mut self) -> Vec<Counted> {
        core::mem::take(&mut self.asked)
    }

    /// Learns which of the `asked` are counted.
    pub(super) fn on_answer(
        &mut self,
        shared: &mut impl Shared,
        asked: Vec<Counted>,
        counted: &[Counted],
        now_ms: u64,
    ) {
        self.denied.retain(|(_, until)| now_ms < *until);
        for unit in asked {
            if counted.contains(&unit) {
                note(shared, &unit);
            } else if self.denied.len() < MAX_DENIED {
                self.denied.push((unit, now_ms.saturating_add(DENIED_MS)));
            }
        }
    }
}

/// The units of one record: of a budget and a window, those whose hashes begin alike.
struct Marks {
    window: u64,
    prints: Vec<u64>,
}

impl Marks {
    /// Those of this window, in the place of those of an earlier one; `None` if it is over.
    fn read(record: Option<&[u8]>, window: u64) -> Option<Self> {
        let mut numbers = record.unwrap_or_default().chunks(8).map(number);
        match numbers.next() {
            Some(later) if later > window => None,
            Some(same) if same == window => Some(Self { window, prints: numbers.collect() }),
            _ => Some(Self { window, prints: Vec::new() }),
        }
    }

    /// How it stands with a unit, if it is known.
    fn of(&self, print: u64) -> Option<u64> {
        let mark = self.prints.iter().find(|&mark| mark & !STATE == print);
        mark.map(|mark| mark & STATE)
    }

    /// The record once it stands so with a unit.
    fn with(&mut self, print: u64, state: u64) -> Option<Vec<u8>> {
        match self.prints.iter_mut().find(|mark| **mark & !STATE == print) {
            Some(mark) => *mark = print | state,
            None => self.prints.push(print | state),
        }
        Some(self.write())
    }

    /// The record without a unit.
    fn without(&mut self, print: u64) -> Option<Vec<u8>> {
        self.prints.retain(|mark| mark & !STATE != print);
        Some(self.write())
    }

    const fn is_full(&self) -> bool {
        self.prints.len() >= MAX_EACH
    }

    fn write(&self) -> Vec<u8> {
        let numbers = [self.window].into_iter().chain(self.prints.iter().copied());
        numbers.flat_map(u64::to_le_bytes).collect()
    }
}

/// A unit in 62 bits.
fn print(unit: &str) -> u64 {
    hash(unit.as_bytes()) << 2
}

fn key(budget: &str, print: u64) -> String {
    format!("{NAMESPACE}units/{}/{budget}", print >> 58)
}

/// The bits of a mark that say how it stands with a unit.
const STATE: u64 = 3;
/// Its first call is under way.
const ALONE: u64 = 0;
/// So it is, and others have come on its account.
const JOINED: u64 = 1;
/// It is counted.
const COUNTED: u64 = 2;
/// Units of one record. There are 64 of them for each budget, each copied at every change: 8 KiB.
const MAX_EACH: usize = 1_024;
/// Units that may wait at once for the next ask.
const MAX_ASKED: usize = 256;
/// Units that are remembered not to be counted.
const MAX_DENIED: usize = 1_024;
/// For how long that is believed.
const DENIED_MS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fake::Store;

    const BUDGET: (&str, u64) = ("b", 7);

    fn take(store: &mut Store, unit: &str) -> Turn {
        entered(store, BUDGET.1, unit)
    }

    fn entered(store: &mut Store, window: u64, unit: &str) -> Turn {
        let mut turn = Turn::look(store, BUDGET.0, window, unit);
        turn.enter(store, BUDGET.0, window);
        turn
    }

    #[test]
    fn a_unit_counts_once_however_many_calls_it_takes() {
        let mut store = Store::default();
        let (first, second) = (take(&mut store, "a"), take(&mut store, "a"));
        assert_eq!((first.need(), second.need()), (1, 0));
        assert_eq!(second.leave(&mut store, BUDGET, true).0, 0);
        assert_eq!(first.leave(&mut store, BUDGET, true), (1, "a".into()));
        assert_eq!(take(&mut store, "a").need(), 0);
        assert_eq!(take(&mut store, "b").need(), 1);
        assert_eq!(entered(&mut store, 8, "a").need(), 1, "a new window counts it anew");
        assert_eq!(take(&mut store, "b").place, Place::New, "the window before is over");
    }

    #[test]
    fn who_finds_that_another_was_faster_holds_nothing() {
        let mut store = Store::default();
        let mut slow = Turn::look(&mut store, BUDGET.0, BUDGET.1, "a");
        let fast = take(&mut store, "a");
        assert_eq!(slow.need(), 1);
        assert!(slow.enter(&mut store, BUDGET.0, BUDGET.1));
        assert_eq!(slow.need(), 0);
        assert_eq!(fast.leave(&mut store, BUDGET, false).0, 1, "the other relies on it");
    }

    #[test]
    fn a_unit_whose_only_call_failed_does_not_count() {
        let mut store = Store::default();
        let first = take(&mut store, "a");
        assert_eq!(first.leave(&mut store, BUDGET, false).0, 0);
        let again = take(&mut store, "a");
        assert_eq!(again.need(), 1);
        // Another call passed on its account: it may have succeeded.
        assert_eq!(take(&mut store, "a").need(), 0);
        assert_eq!(again.leave(&mut store, BUDGET, false).0, 1);
    }

    #[test]
    fn a_unit_that_succeeded_counts_though_who_holds_it_now_fails() {
        let mut store = Store::default();
        let (first, second) = (take(&mut store, "a"), take(&mut store, "a"));
        first.undo(&mut store, BUDGET);
        let again = take(&mut store, "a");
        assert_eq!(second.leave(&mut store, BUDGET, true).0, 0);
        assert_eq!(again.leave(&mut store, BUDGET, false).0, 1);
    }

    #[test]
    fn a_unit_whose_first_call_was_never_sent_counts_for_the_next() {
        let mut store = Store::default();
        let (first, second, third) =
            (take(&mut store, "a"), take(&mut store, "a"), take(&mut store, "a"));
        first.undo(&mut store, BUDGET);
        assert_eq!(second.leave(&mut store, BUDGET, true).0, 1);
        assert_eq!(third.leave(&mut store, BUDGET, true).0, 0);
    }

    #[test]
    fn beyond_the_room_each_call_holds_one_and_the_service_tells() {
        let mut store = Store::default();
        let mut units = (0..100_000).map(|n| format!("u{n}"));
        let crowded = units.find(|unit| take(&mut store, unit).place == Place::New).unwrap();
        assert_eq!(take(&mut store, &crowded).leave(&mut store, BUDGET, true), (1, crowded));
        assert_eq!(take(&mut store, "u0").need(), 0, "what is in stays in");
    }

    #[test]
    fn a_unit_is_asked_for_once_in_a_while() {
        let (mut store, mut inquiry) = (Store::default(), Inquiry::default());
        let unit = |unit: &str| Counted { budget: "b".into(), window: 7, unit: unit.into() };
        assert!(inquiry.ask(unit("a"), 0) && inquiry.ask(unit("b"), 0));
        let asked = inquiry.take();
        assert_eq!(asked, [unit("a"), unit("b")]);
        inquiry.on_answer(&mut store, asked, &[unit("b")], 0);
        assert_eq!(take(&mut store, "b").need(), 0);
        assert!(!inquiry.ask(unit("a"), DENIED_MS - 1), "it was not counted a moment ago");
        assert!(inquiry.ask(unit("a"), DENIED_MS));
        for n in 1..MAX_ASKED {
            assert!(inquiry.ask(unit(&format!("c{n}")), DENIED_MS));
        }
        assert!(!inquiry.ask(unit("one-more"), DENIED_MS), "a flood waits for nobody");
    }
}
