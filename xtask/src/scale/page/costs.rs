//! What publishing writes, and the bill.

use crate::scale::{
    assume::{CHANGE_RATE, CHANGE_RATES, CUSTOMERS, DAY_SECS, SHARD_TARGET},
    cost::{Bill, Method, reads, written},
    results::Results,
    shape::{Layout, Shape},
    text::{cells, count, decimal, dollars, duration, percent, table},
};

pub fn section(results: &Results) -> String {
    format!(
        "## What it costs

{}
The whole bill for KV in a month, with {} of customers changing a day; shards of 64 KiB with deltas against a key per customer:

{}
Reads are checks that memory does not answer, and each isolate's look at the head and the new delta every 30 s while it is asked. They cost about the same in both layouts, because memory answers few checks and KV charges for hot reads too; it is the pages of the index that make a difference at the end.
",
        writing(),
        percent(CHANGE_RATE),
        bills(results)
    )
}

/// Writes per second, bytes and dollars, for each business and change rate.
pub fn writing() -> String {
    let methods = [
        (Method::Deltas, Layout::Shards(SHARD_TARGET)),
        (Method::Rewrite, Layout::Shards(SHARD_TARGET)),
        (Method::KeyPerCustomer, Layout::KeyPerCustomer),
    ];
    let mut rows = vec![cells([
        "customers",
        "change a day",
        "deltas: writes/s",
        "sent/s",
        "a month",
        "no deltas: writes/s",
        "sent/s",
        "a month",
        "key per customer: writes/s",
        "a month",
    ])];
    for customers in CUSTOMERS {
        for rate in CHANGE_RATES {
            let mut row = vec![count(customers as f64), percent(rate)];
            for (method, layout) in methods {
                let day = written(&Shape::new(customers, layout), method, rate);
                let per_sec = day.keys / DAY_SECS;
                row.push(if per_sec < 0.95 { format!("{per_sec:.2}") } else { count(per_sec) });
                if method != Method::KeyPerCustomer {
                    row.push(decimal(day.bytes / DAY_SECS));
                }
                row.push(dollars(Bill::new(0.0, &day, 0.0).writes));
            }
            rows.push(row);
        }
    }
    format!(
        "Writing, with shards of 64 KiB and a sync every {}. *Deltas* is what `admit publish --follow` does: each sync writes the delta and the head, and a full delta is compacted into the shards that it touches. *No deltas* would write those shards, the index and the head at each sync. Dollars are for writes, and deletes of what they supersede.

{}
What a delta saves is time and bytes first: a sync is two writes, whatever changed, and edges load one small object instead of an index and cold shards. Writes it saves only where a full delta hits the same shard several times: up to some ten million customers. Beyond that each changed customer costs about one write in any layout, and a second for the delete of what was there before, which a key that is overwritten does not need. That is the price of content-addressed objects.
",
        duration(crate::scale::assume::SYNC_SECS),
        table(&rows)
    )
}

fn bills(results: &Results) -> String {
    let mut rows = vec![cells(["customers", "layout", "reads", "writes and deletes", "stored", "in all"])];
    for customers in CUSTOMERS {
        for (layout, method) in
            [(Layout::Shards(SHARD_TARGET), Method::Deltas), (Layout::KeyPerCustomer, Method::KeyPerCustomer)]
        {
            let Some(row) = results.row(customers, layout) else { continue };
            let day = written(&row.shape, method, CHANGE_RATE);
            let bill = Bill::new(reads(&row.shape, row.day()), &day, row.shape.total_bytes());
            rows.push(vec![
                count(customers as f64),
                layout.name(),
                dollars(bill.reads),
                dollars(bill.writes),
                dollars(bill.stored),
                dollars(bill.total()),
            ]);
        }
    }
    table(&rows)
}
