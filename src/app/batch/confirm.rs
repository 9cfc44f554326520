//! Asks the upstream about the items of several questions that it may know better.

use std::{borrow::Cow, fmt::Write as _, rc::Rc};

use futures_util::FutureExt as _;

use super::Checks;
use crate::{
    api::{
        reply::{Caching, Reply, Request},
        viewer::Network,
    },
    app::{
        asker::asker,
        library::all,
        missing::Patience,
        read::Ruling,
        upstream::{CANNOT_TELL, Exchange, Heard, HeardOfEach, ManyQuestion, UpstreamQuestion, Verdict},
    },
    entitlement::Reason,
    limits::CHECKS_MAX_CONFIRMS,
    ports::Platform,
    snapshot::key::EntryKey,
};

impl Checks {
    /// Asks the upstream about the items that it may know better, denials first: by the rules of single checks, with their
    /// memory, budgets and circuits. One question asks about all of them; an upstream that does not answer such questions
    /// gets at most [`CHECKS_MAX_CONFIRMS`] single ones at the same time. The snapshot's answer stands where nothing is
    /// heard.
    pub async fn confirm<P: Platform>(
        &mut self,
        exchange: &Exchange<'_, P>,
        patience: &Patience,
    ) -> Confirmed {
        let Request { authorization, min_seq, .. } = *exchange.request;
        let mut confirmation = Confirmation {
            asker: asker(&self.token, authorization),
            insists: min_seq > self.rulings.seq,
            patience: patience.clone(),
            open: Vec::new(),
            seqs: Vec::new(),
            unconfirmed: Tally::default(),
        };
        for are_granted in [false, true] {
            confirmation.open.extend((0..self.item_ids.len()).filter(|position| {
                self.at(*position).is_some_and(|(_, ruling)| {
                    let is_open = confirmation.insists || self.rulings.is_open(ruling);
                    is_open && (ruling.status() == 200) == are_granted
                })
            }));
        }
        self.recall(exchange, &mut confirmation);
        self.ask_at_once(exchange, &mut confirmation).await;
        self.ask_one_by_one(exchange, &mut confirmation).await;
        let Confirmation { seqs, unconfirmed, .. } = confirmation;
        let is_whole = seqs.len() == self.item_ids.len();
        Confirmed { seq: seqs.into_iter().min().filter(|_| is_whole), unconfirmed }
    }

    /// Answers from memory, unless the client wants an answer that is newer than the snapshot.
    fn recall<P: Platform>(&mut self, exchange: &Exchange<'_, P>, confirmation: &mut Confirmation) {
        if confirmation.insists {
            return;
        }
        for position in std::mem::take(&mut confirmation.open) {
            let Some((item_id, _)) = self.at(position) else { continue };
            let since_ms = confirmation.patience.since_ms;
            match exchange.remembered((confirmation.asker, item_id), since_ms) {
                Some(verdict) => self.hear(position, Heard::Verdict(verdict), &mut confirmation.unconfirmed),
                None => confirmation.open.push(position),
            }
        }
    }

    /// Asks about all items by one question, and by another one about those that the snapshot grants. Items that other
    /// requests ask about are waited for. The items that stay open are asked one by one.
    async fn ask_at_once<P: Platform>(
        &mut self,
        exchange: &Exchange<'_, P>,
        confirmation: &mut Confirmation,
    ) {
        let asker = confirmation.asker;
        // One item is better asked by a check, whose answer has a body to remember.
        while confirmation.open.len() > 1 && exchange.may_ask_many() {
            let mut is_asked = false;
            for are_granted in [false, true] {
                let item_ids = self.free(exchange, confirmation, are_granted);
                if item_ids.is_empty() {
                    continue;
                }
                let question = ManyQuestion {
                    token: &Rc::clone(&self.token),
                    asker,
                    published: self.rulings.published,
                    is_confirmation: !are_granted,
                    item_ids: &item_ids,
                };
                let Some(HeardOfEach { each, seq }) = exchange.hear_each(&question).await else { return };
                is_asked = true;
                for position in std::mem::take(&mut confirmation.open) {
                    let item = self.at(position).map(|(item_id, _)| item_id);
                    let heard = item_ids.iter().zip(&each).find(|(item_id, _)| Some(**item_id) == item);
                    let Some((_, heard)) = heard else {
                        confirmation.open.push(position);
                        continue;
                    };
                    if matches!(heard, Heard::Verdict(_)) {
                        confirmation.seqs.extend(seq);
                    }
                    self.hear(position, heard.clone(), &mut confirmation.unconfirmed);
                }
            }
            if is_asked {
                continue;
            }
            let is_asking = |position: &usize| {
                self.at(*position).is_some_and(|(item_id, _)| exchange.is_asking((asker, item_id)))
            };
            let is_awaited = |confirmation: &Confirmation| {
                confirmation.patience.may_wait() && confirmation.open.iter().any(is_asking)
            };
            if !is_awaited(confirmation) {
                return;
            }
            while is_awaited(confirmation) {
                confirmation.patience.wait(exchange.platform).await;
            }
            self.recall(exchange, confirmation);
        }
    }

    /// The open items, each once, that a question may be about: those that the snapshot grants, or those that it does not.
    fn free<P: Platform>(
        &self,
        exchange: &Exchange<'_, P>,
        confirmation: &Confirmation,
        are_granted: bool,
    ) -> Vec<i64> {
        let mut item_ids = Vec::new();
        for position in &confirmation.open {
            let Some((item_id, ruling)) = self.at(*position) else { continue };
            let is_of_these = (ruling.status() == 200) == are_granted && !item_ids.contains(&item_id);
            if is_of_these && exchange.may_be_among((confirmation.asker, item_id)) {
                item_ids.push(item_id);
            }
        }
        item_ids
    }

    async fn ask_one_by_one<P: Platform>(
        &mut self,
        exchange: &Exchange<'_, P>,
        confirmation: &mut Confirmation,
    ) {
        let mut questions = Vec::new();
        for position in std::mem::take(&mut confirmation.open) {
            let Some((item_id, ruling)) = self.at(position) else { continue };
            if questions.len() >= CHECKS_MAX_CONFIRMS {
                confirmation.unconfirmed.count(Cow::Borrowed(BEYOND));
                continue;
            }
            let question = UpstreamQuestion {
                check: Some((confirmation.asker, item_id)),
                playback: None,
                token: Some(Rc::clone(&self.token)),
                query: String::new(),
                address: Network::of(exchange.request.ip_address),
                published: self.rulings.published,
                insists: confirmation.insists,
                // Only its status counts: whether it is a denial that is confirmed.
                otherwise: Reply { status: ruling.status(), ..Reply::ok(String::new(), Caching::Private) },
            };
            questions.push((position, question));
        }
        let asked = questions.iter().map(|(_, question)| {
            let mut patience = confirmation.patience.clone();
            async move {
                loop {
                    // After a wait for a request that asks the same, its answer is remembered, or this one asks.
                    if let Some(heard) = exchange.hear(question, &mut patience).await {
                        return heard;
                    }
                }
            }
            .boxed_local()
        });
        let heard = all(asked.collect()).await;
        for ((position, _), (heard, seq)) in questions.iter().zip(heard) {
            confirmation.seqs.extend(seq);
            self.hear(*position, heard, &mut confirmation.unconfirmed);
        }
    }

    fn at(&self, position: usize) -> Option<(i64, Ruling)> {
        Some((*self.item_ids.get(position)?, *self.rulings.each.get(position)?))
    }

    /// The upstream's word on one of the items, as for a single check. `unconfirmed` counts the answers that stay as they
    /// were, because nothing was heard that counts.
    fn hear(&mut self, position: usize, heard: Heard, unconfirmed: &mut Tally) {
        let Some(ruling) = self.rulings.each.get_mut(position) else { return };
        let reason = match heard {
            Heard::Verdict(Verdict::Granted(_, ends_at) | Verdict::Permitted(ends_at)) => {
                *ruling = Ruling::GrantedUpstream(ends_at);
                return;
            }
            Heard::Verdict(Verdict::Denied) => {
                if ruling.status() != 402 {
                    *ruling = Ruling::Denied(Reason::NoGrant);
                }
                return;
            }
            Heard::Verdict(Verdict::NoItem) => {
                if !matches!(ruling.status(), 402 | 404) {
                    *ruling = Ruling::UnknownItem;
                }
                return;
            }
            Heard::Verdict(Verdict::CannotTell) => Cow::Borrowed(CANNOT_TELL),
            // No check is answered like another read.
            Heard::Read(_) => return,
            Heard::Nothing(reason) => Cow::Owned(reason),
        };
        unconfirmed.count(reason);
    }
}

/// How far the upstream has been asked about several items.
struct Confirmation {
    asker: EntryKey,
    /// Whether the client wants an answer that is newer than the snapshot: a remembered one will not do.
    insists: bool,
    patience: Patience,
    /// The places of the items without an answer yet.
    open: Vec<usize>,
    /// How many of its changes the upstream's answers reflect, for each item that it has answered now.
    seqs: Vec<u64>,
    unconfirmed: Tally,
}

/// The outcome of asking the upstream about several items.
pub(in crate::app) struct Confirmed {
    /// How many of the upstream's changes every answer reflects. `None` if the snapshot, or the memory, gave one of them.
    pub seq: Option<u64>,
    /// Why answers are not confirmed, and how many are not for each reason.
    pub unconfirmed: Tally,
}

/// Words for the log, and how often each came.
#[derive(Default)]
pub(in crate::app) struct Tally(Vec<(Cow<'static, str>, usize)>);

impl Tally {
    pub(super) fn count(&mut self, word: Cow<'static, str>) {
        match self.0.iter_mut().find(|(known, _)| *known == word) {
            Some((_, times)) => *times += 1,
            None => self.0.push((word, 1)),
        }
    }

    /// Whether no word was counted.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends `before` and the list of the words, if there are any.
    pub fn write_to(&self, text: &mut String, before: &str) {
        for (position, (word, times)) in self.0.iter().enumerate() {
            let before = if position == 0 { before } else { ", " };
            // Writing to a text does not fail.
            let _ = write!(text, "{before}{times} {word}");
        }
    }
}

/// Why an answer is not confirmed, for the log, if the other items of the question were asked about.
const BEYOND: &str = "the questions for one answer are used up";
