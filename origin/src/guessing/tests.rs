//! Delays of sign-ins, with the clock in the test's hands.

use super::*;

const NOW: UnixSecs = 1_700_000_000;

fn from(number: u32) -> Source {
    Source::Address(IpAddr::from(number.to_be_bytes()))
}

fn guess(guessing: &Guessing, username: &str, from: Source, now: UnixSecs) -> Result<(), u32> {
    guessing.attempt(Guesser { username, from }, now).map(|tried| guessing.settle(tried, Ending::Wrong))
}

/// Attempts as often as allowed for `secs` seconds. Returns how many attempts were let through.
fn persistent(guessing: &Guessing, username: &str, from: Source, secs: i64) -> u32 {
    let (mut now, mut tries) = (NOW, 0);
    while now < NOW + secs {
        match guess(guessing, username, from, now) {
            Ok(()) => tries += 1,
            Err(wait_secs) => now += i64::from(wait_secs),
        }
    }
    tries
}

#[test]
fn delays_grow_with_each_failure() {
    let guessing = Guessing::default();
    let mut now = NOW;
    for _ in 0..4 {
        guess(&guessing, "ada", from(1), now).unwrap();
    }
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] {
        assert_eq!(guess(&guessing, "ADA", from(1), now), Err(expected), "{now}");
        // An attempt that comes too early does not prolong the delay.
        assert_eq!(guess(&guessing, "ada", from(1), now + 1).err().unwrap_or(0), expected - 1);
        if expected == 1 {
            now += 1;
            continue;
        }
        now += i64::from(expected);
        guess(&guessing, "ada", from(1), now).unwrap();
    }
}

#[test]
fn a_day_of_guessing_is_some_hundred_tries() {
    let tries = persistent(&Guessing::default(), "ada", from(1), 86_400);
    assert!((90..130).contains(&tries), "{tries}");
    // All accounts together, from one address.
    let guessing = Guessing::default();
    let (mut now, mut tries, mut account) = (NOW, 0, 0);
    while now < NOW + 86_400 {
        account += 1;
        match guess(&guessing, &format!("u{account}"), from(1), now) {
            Ok(()) => tries += 1,
            Err(wait_secs) => now += i64::from(wait_secs),
        }
    }
    assert!((1_000..3_500).contains(&tries), "{tries}");
}

#[test]
fn the_owner_gets_in_while_a_thousand_addresses_guess() {
    let guessing = Guessing::default();
    for address in 0..1_000 {
        while guess(&guessing, "ada", from(address), NOW).is_ok() {}
    }
    let owner = Guesser { username: "ada", from: from(5_000) };
    let tried = guessing.attempt(owner, NOW).expect("an address's first try is free");
    guessing.settle(tried, Ending::Right);
    guessing.attempt(owner, NOW).map(|tried| guessing.settle(tried, Ending::Right)).unwrap();
    // An address of the guessers has one attempt instead of four.
    let late = from(6_000);
    guess(&guessing, "ada", late, NOW).unwrap();
    guess(&guessing, "ada", late, NOW).unwrap();
    assert_eq!(guess(&guessing, "ada", late, NOW), Err(30));
    // Other accounts are not affected.
    guess(&guessing, "grace", from(1), NOW).unwrap();
}

#[test]
fn a_guesser_cannot_clear_the_count_with_another_account() {
    let guessing = Guessing::default();
    let mut refused = 0;
    for account in 0..200 {
        refused += u32::from(guess(&guessing, &format!("u{account}"), from(1), NOW).is_err());
        let own = guessing.attempt(Guesser { username: "mallory", from: from(1) }, NOW);
        let _ = own.map(|tried| guessing.settle(tried, Ending::Right));
    }
    assert!(refused > 150, "{refused}");
}

#[test]
fn many_attempts_at_once_are_not_free() {
    let guessing = Guessing::default();
    let ada = Guesser { username: "ada", from: from(1) };
    let tries: Vec<_> = (0..100).filter_map(|_| guessing.attempt(ada, NOW).ok()).collect();
    assert_eq!(tries.len(), 4);
    // The passwords were never checked, so no attempt counts.
    for tried in tries {
        guessing.settle(tried, Ending::Unknown);
    }
    assert!(guessing.attempt(ada, NOW).is_ok());
}

#[test]
fn behind_a_shared_address_a_delay_is_at_most_half_a_minute() {
    let guessing = Guessing::default();
    let shared = Source::Shared(IpAddr::from([203, 0, 113, 9]));
    persistent(&guessing, "ada", shared, 7_200);
    let wait_secs = (0..).map_while(|_| guess(&guessing, "ada", shared, NOW + 7_200).err()).next();
    assert!(wait_secs.is_none_or(|secs| secs <= 30), "{wait_secs:?}");
    // Other users of the address do not wait at all.
    for account in 0..1_000 {
        guess(&guessing, &format!("u{account}"), shared, NOW + 7_200).unwrap();
    }
    // But the owner cannot be told from a stranger who takes every attempt as soon as it is allowed.
    let mut now = NOW + 7_200;
    for _ in 0..100 {
        while guess(&guessing, "ada", shared, now).is_err() {
            now += 1;
        }
        let owner = guessing.attempt(Guesser { username: "ada", from: shared }, now);
        assert!(owner.is_err(), "{owner:?}");
    }
}

#[test]
fn a_household_has_one_network() {
    let v6 = |last: u16| Source::Address(IpAddr::from([0x2001, 0xdb8, 7, 1, last, 0, 0, last]));
    let guessing = Guessing::default();
    let let_through = (0..1_000).filter(|last| guess(&guessing, "ada", v6(*last), NOW).is_ok()).count();
    assert_eq!(let_through, 4);
    assert_eq!(v6(1).network(), v6(2).network());
    let mapped = Source::Address("::ffff:203.0.113.9".parse().unwrap());
    assert_eq!(mapped.network(), IpAddr::from([203, 0, 113, 9]));
}

#[test]
fn a_site_with_many_networks_is_delayed_as_one() {
    let v6 = |network: u16| Source::Address(IpAddr::from([0x2001, 0xdb8, 7, network, 0, 0, 0, 1]));
    let guessing = Guessing::default();
    let (mut now, mut tries) = (NOW, 0);
    for network in 0..u16::MAX {
        match guess(&guessing, "ada", v6(network), now) {
            Ok(()) => tries += 1,
            Err(wait_secs) => now += i64::from(wait_secs),
        }
        if now >= NOW + 86_400 {
            break;
        }
    }
    assert!((1_000..3_500).contains(&tries), "{tries}");
    assert!(now >= NOW + 86_400, "a day was not enough to be delayed: {now}");
    // The owner is at another site.
    let owner = Source::Address(IpAddr::from([0x2001, 0xdb8, 8, 0, 0, 0, 0, 1]));
    guess(&guessing, "ada", owner, now).unwrap();
    // A hundred people of one site mistype at once; the 300 who succeed leave no failures behind.
    let guessing = Guessing::default();
    for person in 0..400 {
        let username = &*format!("u{person}");
        let tried = guessing.attempt(Guesser { username, from: v6(person) }, NOW).unwrap();
        guessing.settle(tried, if person < 100 { Ending::Wrong } else { Ending::Right });
    }
}

#[test]
fn the_memory_is_bounded_and_gives_up_the_weakest() {
    let guessing = Guessing::default();
    while guess(&guessing, "ada", from(1), NOW).is_ok() {}
    for address in 10..60_000 {
        let _ = guess(&guessing, "x", from(address), NOW);
    }
    assert!(guess(&guessing, "ada", from(1), NOW).is_err(), "pushed out by single failures");
    let counts = guessing.counts.lock().unwrap();
    assert_eq!(counts.pairs.sets.len(), GUESS_SETS);
}

#[test]
fn a_clock_that_goes_back_ends_nothing() {
    let guessing = Guessing::default();
    while guess(&guessing, "ada", from(1), NOW).is_ok() {}
    assert!(guess(&guessing, "ada", from(1), NOW - 3_600).is_err());
}
