//! What happens to servers and connections while a follower reads them.

use super::shop::{Shop, signal, until};

/// Ends the follower's sessions as an administrator, or a failing server, does. Returns how many there were.
fn kill_backends(shop: &Shop) -> usize {
    let killed = shop
        .cluster
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'admit_reader'");
    killed.lines().count()
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn killed_sessions_lose_no_change() {
    let shop = Shop::open("pg-killed");
    let follower = shop.follow();
    for customer in 1..=5 {
        until("there is a session to end", || kill_backends(&shop) > 0);
        shop.pay(customer, &format!("order-{customer}"));
        until("the buyer has access", || shop.may_play(customer));
    }
    shop.is_what_the_database_has();
    let ended = follower.stop();
    assert!(!ended.stderr.contains("publishing the whole"), "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_follower_outlives_a_crash_of_the_server() {
    let shop = Shop::open("pg-crash");
    let follower = shop.follow();
    shop.pay(1, "a");
    // As a failover: gone without a word, away for a while, and back with all commits.
    shop.cluster.stop("immediate");
    std::thread::sleep(std::time::Duration::from_secs(2));
    shop.cluster.start_again();
    shop.pay(2, "b");
    until("both have access", || shop.access([1, 2]) == [true, true]);
    shop.is_what_the_database_has();
    let ended = follower.stop();
    assert!(
        ended.stderr.contains("Connection refused") || ended.stderr.contains("No such file"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("publishing the whole"), "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_follower_that_missed_purged_changes_takes_the_export() {
    let shop = Shop::open("pg-purged");
    let follower = shop.follow();
    shop.pay(1, "a");
    shop.caught_up();
    signal(&follower, "-STOP");
    shop.pay(2, "b");
    shop.pay(3, "c");
    shop.cluster.sql("SELECT admit.purge('0 days')");
    assert_eq!(shop.cluster.sql("SELECT count(*) FROM admit.feed"), "1", "the newest change stays");
    signal(&follower, "-CONT");
    until("all have access", || shop.access(1..=3) == [true, true, true]);
    // And follows from there.
    shop.pay(4, "d");
    until("the next buyer has access", || shop.may_play(4));
    let ended = follower.stop();
    assert!(ended.stderr.contains("no longer has the changes after"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("publishing the whole").count(), 1, "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn without_notifications_the_follower_looks() {
    let shop = Shop::open("pg-silent");
    shop.cluster.sql(
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('admit.touch'::regproc), \
         $s$PERFORM pg_notify('admit_changes', '');$s$, ''); END $$",
    );
    let silent = "SELECT position('pg_notify' IN pg_get_functiondef('admit.touch'::regproc))";
    assert_eq!(shop.cluster.sql(silent), "0");
    let follower = shop.follow();
    for customer in 1..=2 {
        shop.pay(customer, &format!("order-{customer}"));
        until("the buyer has access", || shop.may_play(customer));
    }
    drop(follower.stop());
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_restored_database_counts_on_above_what_is_published() {
    let shop = Shop::open("pg-restored");
    let follower = shop.follow();
    for customer in 1..=3 {
        shop.pay(customer, &format!("order-{customer}"));
    }
    shop.caught_up();
    signal(&follower, "-STOP");
    let published = shop.published();
    // A backup from before the last two payments.
    shop.cluster.sql(&format!(
        "SET session_replication_role = replica; DELETE FROM shop.purchases WHERE reference <> 'order-1'; \
         DELETE FROM admit.feed_records WHERE seq > {published} - 2; DELETE FROM admit.feed WHERE seq > {published} - 2; \
         UPDATE admit.feed_counter SET seq = {published} - 2"
    ));
    assert_eq!(shop.cluster.sql(&format!("SELECT admit.restored({published})")), (published + 2).to_string());
    signal(&follower, "-CONT");
    until("the edge has what the database has", || shop.access(1..=3) == [true, false, false]);
    shop.pay(3, "again");
    until("the buyer has access", || shop.may_play(3));
    let ended = follower.stop();
    assert!(ended.stderr.contains("publishing the whole"), "{}", ended.stderr);
}
