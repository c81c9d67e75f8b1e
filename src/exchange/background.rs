//! Work in the background. It is admitted when it is asked to begin, and ends with nothing used: what it
//! took is told when somebody asks how it went, and charged to budgets then.

use std::rc::Rc;

use super::Teller;
use crate::desk::{Hold, Known};
use crate::gate::Gate;
use crate::scope::Scope;
use crate::shared::Shared;

/// What a call that tells of such work takes of budgets, and whose they are; nothing where its
/// tenant is not known here.
pub(super) fn owed(
    gate: &Gate,
    scope: &Scope<'_>,
    Teller { desk, shared, now_ms }: Teller<'_, impl Shared>,
) -> Option<(Rc<Known>, Vec<Hold>)> {
    let name = scope.key?;
    let known = match &gate.own {
        Some(own) => desk.known(shared, own, name, now_ms),
        None => desk.tenants.last_known(shared, name, now_ms)?,
    };
    let holds = desk.unheld(shared, &known, scope, now_ms);
    Some((known, holds))
}
