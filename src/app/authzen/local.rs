//! Questions for an origin, which answers from its own data at this moment: the same rights, decisions and bodies as at the
//! edge. Each decision names its item, so that an edge that asks can tell the order (docs/adr/0051).

use std::rc::Rc;

use super::{Caller, Deliberation, Group, Rulings, Sorted, questions};
use crate::{
    api::{
        authzen::{Asked, Verdict},
        error::ApiError,
        reply::Reply,
    },
    app::{
        Event, ServiceReason,
        read::{LookUps, decide_each},
    },
    ports::Log,
    snapshot::{
        index::Tree,
        item::ItemRecord,
        time::UnixSecs,
        version::{Found, ObjectCache, Version},
    },
    token::{IssuerConfig, Principal, VerifiedToken},
};

/// The questions of a request that the owner of a token asks.
pub struct LocalQuestions<'a> {
    /// The verified token, which [may ask](crate::app::Permission::Ask).
    pub token: &'a Rc<VerifiedToken>,
    /// The issuers whose tokens are accepted.
    pub issuers: &'a [IssuerConfig],
    /// The questions.
    pub asked: &'a Asked,
    /// The moment, unix seconds.
    pub now: UnixSecs,
}

impl LocalQuestions<'_> {
    /// The customers and items that the answer depends on. A customer may be named several times.
    #[must_use]
    pub fn concerned(&self) -> Vec<(Principal, Vec<i64>)> {
        let caller = self.caller();
        let evaluations = questions(self.asked).map(|(_, evaluations)| evaluations).unwrap_or_default();
        let groups = Sorted::of(&caller, evaluations).groups.into_iter();
        groups.map(|group| (caller.principal(group.id), group.item_ids)).collect()
    }

    /// Answers from `version`, all of whose objects are in `objects`. The answer is not complete: see
    /// [`Completion`](crate::app::Completion).
    #[must_use]
    pub fn answer(&self, version: &Version, objects: &mut ObjectCache, log: &dyn Log) -> Reply {
        let caller = self.caller();
        let Some((semantic, evaluations)) = questions(self.asked) else {
            return ApiError::RouteNotFound.into();
        };
        let Sorted { verdicts, groups } = Sorted::of(&caller, evaluations);
        let mut deliberation =
            Deliberation { semantic, verdicts, shown: caller.shown(), own: Vec::new(), beside: Vec::new() };
        for Group { id, terms, item_ids, places } in groups {
            let at = terms.at.unwrap_or(self.now);
            let look_ups = &mut LookUps::new(version, objects);
            let pass = decide_each(look_ups, &caller.principal(id), &item_ids, terms, at);
            if let Some(error) = pass.corrupt {
                Event::Corrupt { seq: version.head.seq, error }.log(log);
            }
            let rulings = Rulings {
                each: pass.rulings,
                considered: pass.considered,
                as_of: version.head.as_of,
                seq: version.head.origin_seq(),
                is_stale: false,
                until: UnixSecs::MIN,
                published: None,
                reason: ServiceReason::Unreadable,
                is_restricted: false,
            };
            deliberation.take(&rulings, &places);
            for (place, item_id) in places.iter().zip(item_ids) {
                if let Some(verdict) = deliberation.verdicts.get_mut(*place) {
                    name_item(verdict, item_id, version, objects);
                }
            }
        }
        deliberation.reply()
    }

    const fn caller(&self) -> Caller<'_> {
        Caller { token: self.token, issuers: self.issuers }
    }
}

/// Adds the item to the context of a decision, and to that of a permit its merchant.
fn name_item(verdict: &mut Verdict, item_id: i64, version: &Version, objects: &mut ObjectCache) {
    let Verdict::Decided { decision, explained, .. } = verdict else { return };
    explained.push_str(r#","item":{"id":"#);
    explained.push_str(itoa::Buffer::new().format(item_id));
    let found = version.look_up(Tree::Items, version.index.item_key(item_id), objects);
    if let (true, Ok(Found::Record(record))) = (*decision, found)
        && let Ok(item) = ItemRecord::new(record.bytes())
    {
        explained.push_str(r#","merchant_id":"#);
        explained.push_str(itoa::Buffer::new().format(item.merchant_id));
    }
    explained.push('}');
}
