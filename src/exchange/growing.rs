//! A stream that is about to outgrow its hold takes more as it goes.
//!
//! It is looked at each time its text has grown by a part of what it was, so that the work for each
//! byte is constant. What it writes without showing it, such as thoughts, is seen only at its end.

use super::{Exchange, Phase, Teller};
use crate::budget::Expected;
use crate::desk::Grown;
use crate::estimate::{Basis, Learned};
use crate::shared::Shared;

/// How long an answer may become until its hold must grow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    /// The tokens of each answer that are held for.
    output: u64,
    /// The bytes of text after which more must be held; `None`: never.
    after: Option<u64>,
}

impl Exchange {
    pub(super) fn begin_growing(&mut self, learned: &Learned) {
        let rates = learned.rates(self.model());
        let basis = Basis { api: self.target.api, said: self.body.said(), rates };
        let output = self.admitted.output.unwrap_or(basis.longest());
        let soft = self.admitted.firm == Some(false);
        let after = soft.then(|| basis.nearly(output.saturating_mul(basis.answers())));
        self.admitted.growth = Growth { output, after };
    }

    /// The model that is to answer.
    fn model(&self) -> Option<&str> {
        self.admitted.model.as_deref().or(self.asked_model())
    }

    /// Whether the answer is about to outgrow what is held for it.
    #[must_use]
    pub fn outgrows(&self) -> bool {
        match (&self.phase, self.admitted.growth.after) {
            (Phase::Answering(reply), Some(after)) => reply.answer.text_bytes() >= after,
            _ => false,
        }
    }

    /// Takes more for the answer, or ends it.
    pub fn grow(&mut self, teller: Teller<'_, impl Shared>) {
        let Teller { desk, shared, now_ms } = teller;
        let Growth { output, after } = self.admitted.growth;
        let Some(after) = after else { return };
        let rates = desk.learned.rates(self.model());
        let said = self.body.said();
        let basis = Basis { api: self.target.api, said, rates };
        // An answer is no longer than its request lets it be, whatever its text looks like.
        let longest = said.max_output.unwrap_or(u64::MAX);
        let next = output.saturating_add(output / 2).saturating_add(STEP).min(longest);
        if next <= output {
            self.admitted.growth.after = None;
            return;
        }
        let expected =
            Expected::with_output(&basis, self.tariff(self.model()), &self.terms(), next);
        let nearly = basis.nearly(next.saturating_mul(basis.answers()));
        let holds = &mut self.admitted.holds;
        self.admitted.growth = match desk.grow(shared, holds, &expected, now_ms) {
            Grown::Enough => {
                Growth { output: next, after: Some(nearly.max(after.saturating_add(after / 8))) }
            }
            Grown::Short => Growth { output, after: Some(after.saturating_add(after / 4)) },
            Grown::End(budget) => {
                self.begin_ending(budget);
                Growth { output, after: None }
            }
        };
    }
}

/// Tokens by which a hold grows at least.
const STEP: u64 = 256;
