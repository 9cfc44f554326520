//! What a shop does, as the edge sees it.

use std::{process::Stdio, thread};

use super::shop::{ITEM, Shop, kit, subject, until};
use crate::service::Service;

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_hundred_buyers_are_granted_and_a_refund_is_denied() {
    let shop = Shop::open("pg-buyers");
    let service = Service::start(&shop.bench);
    let token = Service::token(&shop.bench, "publisher", "sync");
    let publish =
        ["publish", "--from", &shop.url(), "--to", &service.url, "--key", "publisher.jwk"].map(str::to_owned);
    let follow = [&publish[..], &["--follow", "--every", "1"].map(str::to_owned)].concat();
    let follow: Vec<_> = follow.iter().map(String::as_str).collect();
    let mut command = shop.bench.command(&follow);
    let follower = crate::follower::Follower::started(command.env("ADMIT_TOKEN", &token));
    let checked = |customers: std::ops::RangeInclusive<usize>, expected: &str| {
        let customers: Vec<_> = customers.map(|customer| format!("vendor:{}", subject(customer))).collect();
        let mut args = vec!["check", "--from", &service.url, "--expect", expected];
        customers.iter().for_each(|customer| args.extend(["--customer", customer]));
        args.push(ITEM);
        shop.bench.command(&args).env("ADMIT_TOKEN", &token).output().unwrap().status.success()
    };
    until("nobody has access", || checked(1..=100, "denied"));
    assert!(checked(101..=110, "access"), "subscribers have the package");
    let pay = |customer| format!("SELECT shop.pay('{}', 7, 'order-{customer}');\n", subject(customer));
    shop.cluster.sql_as("shop_payments", &(1..=100).map(pay).collect::<String>());
    until("100 buyers have access", || checked(1..=100, "access"));
    // The service itself, asked by a viewer.
    let viewer = Service::token(&shop.bench, "id", &subject(100));
    let asked = ["check", "--url", &service.url, "--expect", "access", ITEM];
    let asked = shop.bench.command(&asked).env("ADMIT_TOKEN", viewer).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    assert_eq!(shop.cluster.sql_as("shop_payments", "SELECT shop.refund('order-7')"), "t");
    until("the refund is published", || checked(7..=7, "denied"));
    assert!(checked(8..=100, "access"));
    let ended = follower.stop();
    assert!(!ended.stderr.contains("publishing the whole"), "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_payment_counts_once_and_a_rollback_leaves_no_gap() {
    let shop = Shop::open("pg-rollback");
    let follower = shop.follow();
    shop.pay(1, "a");
    let counter = shop.counter();
    // The same payment again, an update of nothing, and a transaction that is taken back, once in a part of one that
    // is not.
    shop.pay(1, "a");
    shop.cluster.sql("UPDATE shop.products SET title = title");
    shop.cluster.sql(&format!("BEGIN; SELECT shop.pay('{}', 7, 'b'); ROLLBACK", subject(2)));
    assert_eq!(shop.counter(), counter);
    shop.cluster.sql(&format!(
        "BEGIN; SAVEPOINT s; SELECT shop.pay('{}', 7, 'c'); SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO s; \
         SELECT shop.pay('{}', 7, 'd'); COMMIT",
        subject(3),
        subject(4)
    ));
    assert_eq!(shop.counter(), counter + 1, "one transaction is one change");
    shop.caught_up();
    assert_eq!(shop.access(1..=4), [true, false, false, true]);
    shop.is_what_the_database_has();
    let ended = follower.stop();
    assert!(!ended.stderr.contains("expected change"), "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn every_kind_of_record_changes_and_goes() {
    let shop = Shop::open("pg-records");
    let follower = shop.follow();
    shop.pay(1, "a");
    shop.pay(2, "b");
    shop.cluster.sql(
        "UPDATE shop.store SET name = 'Harbour'; UPDATE shop.terms SET quantity = 24 WHERE id = 1; \
         UPDATE shop.prices SET amount = 5.99 WHERE id = 7; \
         DELETE FROM shop.customers WHERE id = 2; \
         UPDATE shop.subscriptions SET status = 'cancelled', cancelled_at = now() WHERE customer_id = 101; \
         DELETE FROM shop.package_products WHERE product_id = 33; \
         DELETE FROM shop.products WHERE id = 34; \
         INSERT INTO shop.plans (code, name) VALUES ('HF002', 'Yearly')",
    );
    shop.caught_up();
    // The film is not in the package any more, so subscribers have lost it.
    assert_eq!(shop.access([1, 2, 101, 102]), [true, false, false, false]);
    shop.cluster.sql("INSERT INTO shop.package_products VALUES (40, 33, 1)");
    shop.caught_up();
    assert_eq!(shop.access([1, 2, 101, 102]), [true, false, false, true]);
    drop(follower.stop());
    // The whole, published over it, changes nothing. Its second must be a later one.
    thread::sleep(std::time::Duration::from_millis(1_100));
    let ended = shop.publish(&["--json"]).ok();
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["customers"], 199, "{report}");
    assert_eq!(shop.access([1, 2, 101, 102]), [true, false, false, true]);
}

/// A plan's name is in its subscribers' records, and the store's number in every record.
#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn what_is_in_many_records_changes_all_of_them() {
    let shop = Shop::open("pg-many-records");
    let follower = shop.follow();
    let record = |customer: usize| {
        let who = format!("vendor:{}", subject(customer));
        let args = ["inspect", "--from", "dir:store", "--json", "--customer", &who];
        let report: serde_json::Value = serde_json::from_str(&shop.bench.run(&args).ok().stdout).unwrap();
        report["customer"]["record"].clone()
    };
    let plan = |customer: usize| record(customer)["licenses"][0]["name"].clone();
    assert_eq!(plan(101), "Monthly");
    // Ten subscribers are named, those who subscribe in the same transaction as well.
    shop.cluster.sql(
        "BEGIN; INSERT INTO shop.subscriptions (customer_id, plan_id) SELECT 111, id FROM shop.plans; \
         UPDATE shop.plans SET name = 'Every month'; COMMIT",
    );
    shop.caught_up();
    assert_eq!([101, 110, 111].map(plan), ["Every month"; 3]);
    shop.cluster.sql("UPDATE shop.plans SET months = 2; UPDATE shop.plans SET code = 'HF009'");
    let named = "SELECT count(*) FROM admit.feed_records WHERE type = 'customer' AND seq = (SELECT max(seq) FROM admit.feed)";
    assert_eq!(
        shop.cluster.sql(&format!("{named} - 1; {named}")),
        "11\n0",
        "a plan's code is in its own record alone"
    );
    // Too many to name: the follower takes the export, the change before it and the one after it as well.
    shop.cluster.sql(
        "INSERT INTO shop.customers (id, email) SELECT n, n || '@example.com' FROM generate_series(2001, 3000) n; \
         INSERT INTO shop.subscriptions (customer_id, plan_id) SELECT n, p.id FROM generate_series(2001, 3000) n, shop.plans p",
    );
    shop.caught_up();
    let before = shop.counter();
    shop.pay(1, "a");
    shop.cluster.sql("UPDATE shop.plans SET name = 'By the month'");
    shop.pay(2, "b");
    shop.caught_up();
    assert_eq!(plan(101), "By the month");
    assert_eq!(shop.access([1, 2, 3]), [true, true, false]);
    let first: u64 = shop.cluster.sql("SELECT min(seq) FROM admit.feed").parse().unwrap();
    assert_eq!(
        (first, shop.counter()),
        (before + 4, before + 5),
        "the feed begins anew, after a number that is left out"
    );
    assert_eq!(record(199)["merchant_id"], 21);
    shop.cluster.sql("UPDATE shop.store SET id = 22");
    shop.pay(3, "c");
    shop.caught_up();
    assert_eq!([record(199), record(3)].map(|record| record["merchant_id"].clone()), [22, 22]);
    shop.is_what_the_database_has();
    let ended = follower.stop();
    assert_eq!(ended.stderr.matches("publishing the whole").count(), 2, "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn ten_thousand_transactions_by_sixteen_writers_leave_no_gap() {
    let shop = Shop::open("pg-writers");
    let before = shop.counter();
    let follower = shop.follow();
    // One transaction in eight is taken back, and one in eight waits before its commit while others commit.
    shop.bench.write(
        "buy.sql",
        "\\set customer random(1, 100)\n\\set kind random(1, 8)\nBEGIN;\n\
         SELECT shop.pay(('11a7ed90-65d3-4ee2-9d91-' || lpad(to_hex(:customer), 12, '0'))::uuid, 7, gen_random_uuid()::text);\n\
         \\if :kind = 1\nROLLBACK;\n\\elif :kind = 2\n\\sleep 2 ms\nCOMMIT;\n\\else\nCOMMIT;\n\\endif\n",
    );
    let script = shop.bench.dir.join("buy.sql").display().to_string();
    let args = ["-n", "-c", "16", "-j", "2", "-t", "625", "-U", "shop_payments", "-f", &script, "postgres"];
    let mut pgbench = shop.cluster.client("pgbench", &args);
    let mut writers = pgbench.stdout(Stdio::null()).spawn().unwrap();
    // A reader beside the follower: at each moment the feed is whole up to its last count.
    let mut looks = 0;
    let is_done = loop {
        let holes = shop.cluster.sql("SELECT max(seq) - count(*) FROM admit.feed");
        assert_eq!(holes, "0", "after {looks} looks");
        looks += 1;
        if let Some(status) = writers.try_wait().unwrap() {
            break status.success();
        }
        thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(is_done, "pgbench failed");
    let bought: u64 = shop.cluster.sql("SELECT count(*) FROM shop.purchases").parse().unwrap();
    assert!(bought > 7_000 && bought < 10_000, "{bought}");
    assert_eq!(shop.counter(), before + bought, "each transaction is one change");
    let disorder = "SELECT count(*) FROM (SELECT at < lag(at) OVER (ORDER BY seq) AS is_earlier FROM admit.feed) f \
                    WHERE is_earlier";
    assert_eq!(shop.cluster.sql(disorder), "0", "commits have the order of their counts");
    let lost = "SELECT count(*) FROM shop.purchases p JOIN shop.customers c ON c.id = p.customer_id WHERE NOT EXISTS \
                (SELECT FROM admit.feed_records r WHERE r.type = 'customer' AND r.key = c.uuid::text)";
    assert_eq!(shop.cluster.sql(lost), "0");
    shop.caught_up();
    shop.is_what_the_database_has();
    let ended = follower.stop();
    for word in ["expected change", "publishing the whole"] {
        assert!(!ended.stderr.contains(word), "{}", ended.stderr);
    }
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn an_invalid_row_is_set_aside_and_named() {
    let shop = Shop::open("pg-invalid");
    let follower = shop.follow();
    shop.pay(1, "a");
    shop.caught_up();
    // No time of the schema: the record keeps its last good state, and all others change.
    shop.cluster.sql("UPDATE shop.purchases SET expires_at = '12026-01-01'");
    let invalid = shop.counter();
    shop.pay(2, "b");
    shop.caught_up();
    assert_eq!(shop.access([1, 2]), [true, true]);
    let ended = follower.stop();
    let named =
        format!("admit_changes:{invalid}: customer vendor:{}: put[0].accesses[0].expires_at", subject(1));
    assert!(ended.stderr.contains(&named), "{named}: {}", ended.stderr);
    let ended = shop.publish(&[]).failed(3, "admit_export:");
    let named = format!("customer vendor:{}: accesses[0].expires_at", subject(1));
    assert!(ended.stderr.contains(&named), "{}", ended.stderr);
    assert_eq!(shop.access([1, 2]), [true, true]);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_view_of_ones_own_needs_no_snapshot_line() {
    let shop = Shop::open("pg-own-views");
    shop.cluster.sql(
        "CREATE SCHEMA own; GRANT USAGE ON SCHEMA own TO admit_reader; \
         CREATE VIEW own.admit_export AS SELECT line FROM admit.admit_export WHERE line ->> 'type' <> 'snapshot'; \
         CREATE VIEW own.admit_changes AS SELECT 41 + seq AS seq, line FROM admit.admit_changes; \
         GRANT SELECT ON own.admit_export, own.admit_changes TO admit_reader; \
         ALTER ROLE admit_reader SET search_path = own",
    );
    let follower = shop.follow();
    assert_eq!(shop.published(), 42);
    shop.pay(1, "a");
    until("the change is published", || shop.published() == 43);
    assert!(shop.may_play(1));
    // A line that is not a change says which one it is, and is skipped by a publish of the whole.
    shop.cluster.sql(
        "CREATE OR REPLACE VIEW own.admit_changes AS SELECT 41 + seq AS seq, CASE seq WHEN 3 THEN '[]' ELSE line END AS line \
         FROM admit.admit_changes",
    );
    shop.pay(2, "b");
    until("the change is published", || shop.published() == 44);
    assert!(shop.may_play(2));
    let ended = follower.stop();
    assert!(ended.stderr.contains("admit_changes:44: line: unknown field"), "{}", ended.stderr);
}

#[test]
fn the_kit_names_what_its_page_names() {
    let page = std::fs::read_to_string(kit("README.md")).unwrap();
    let sql = std::fs::read_to_string(kit("admit.sql")).unwrap();
    for name in
        ["admit.purge", "admit.restored", "admit.touch_all", "admit_reader", "admit_export", "admit_changes"]
    {
        assert!(page.contains(name) && sql.contains(name), "{name}");
    }
}
