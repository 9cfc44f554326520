//! What the lane costs.

use super::{
    super::{
        assume::{FRESH_SECS, INTERVALS, OBJECT_DOLLARS, REQUEST_DOLLARS, ROW_DOLLARS, ROWS_PER_HEAD},
        price::Month,
        purges::Purges,
        waits::Kept,
    },
    SIZES,
};
use crate::{
    numbers::{count, dollars, percent, short},
    table::table,
};

/// The lane's price by `FRESH_SECS` and the size of the business.
pub fn price() -> String {
    let rows = INTERVALS.map(|fresh_secs| {
        let mut cells = vec![short(fresh_secs)];
        for customers in SIZES {
            let month = Month::of(customers, fresh_secs, Kept::now(&Purges::of(customers)));
            cells.extend([count(month.asks), dollars(month.dollars())]);
        }
        let most = Month::most(fresh_secs);
        cells.extend([count(most), dollars(most * REQUEST_DOLLARS / 1e6)]);
        cells
    });
    let mut head = vec!["`FRESH_SECS`".to_owned()];
    for customers in SIZES {
        head.extend([format!("{}: questions", count(customers as f64)), "a month".to_owned()]);
    }
    head.extend(["all isolates always in use: questions".to_owned(), "a month".to_owned()]);
    table(&head, &rows)
}

/// The lane's bill in its parts.
pub fn bill() -> String {
    let rows = SIZES.map(|customers| {
        let month = Month::of(customers, FRESH_SECS, Kept::now(&Purges::of(customers)));
        let heads = month.heads * (OBJECT_DOLLARS + ROWS_PER_HEAD * ROW_DOLLARS) / 1e6;
        let objects = month.misses * OBJECT_DOLLARS / 1e6;
        vec![
            count(customers as f64),
            count(month.asks),
            percent(1.0 - month.misses / month.asks),
            dollars(month.asks * REQUEST_DOLLARS / 1e6),
            dollars(objects),
            dollars(heads),
            dollars(month.dollars()),
        ]
    });
    let head = [
        "customers",
        "questions",
        "hits of the cache",
        "questions cost",
        "misses",
        "writes",
        "the lane in all",
    ];
    table(&head, &rows)
}
