//! Refresh tokens: used once, with a grace for honest clients, and ended after a theft.

use std::thread;

use serde_json::Value;

use crate::support::{
    CLIENT, CUSTOMER_SUBJECT, PASSWORD, authenticate, by_password, check, command, refresh, signed_in,
    with_account,
};

#[test]
fn a_refresh_token_is_used_once() {
    let origin = with_account();
    let first = signed_in(&origin);
    origin.advance(7_200);
    check(&origin, &first["access_token"]).refused(401, "Invalid auth token");
    let second = refresh(&origin, CLIENT, &first["refresh_token"]).expect(200).json();
    assert_eq!(second["account"], first["account"]);
    check(&origin, &second["access_token"]).refused(402, "No access");
    // A second sign-in of the same person is a family of its own.
    let other = signed_in(&origin);
    origin.advance(30);
    refresh(&origin, CLIENT, &first["refresh_token"]).refused(401, "Invalid refresh token");
    // The used token came back, so the newer one is refused as well.
    refresh(&origin, CLIENT, &second["refresh_token"]).refused(401, "Invalid refresh token");
    refresh(&origin, CLIENT, &other["refresh_token"]).expect(200);
}

/// Two tabs, or a lost answer: the client made no mistake.
#[test]
fn a_refresh_token_that_comes_twice_within_seconds_gives_one_session() {
    let origin = with_account();
    let first = signed_in(&origin);
    let second = refresh(&origin, CLIENT, &first["refresh_token"]).expect(200).json();
    origin.advance(29);
    let again = refresh(&origin, CLIENT, &first["refresh_token"]).expect(200).json();
    assert_eq!(again["refresh_token"], second["refresh_token"], "the same successor");
    assert_ne!(again["access_token"], second["access_token"]);
    check(&origin, &again["access_token"]).refused(402, "No access");
    // The repeated use did not use the successor up.
    let third = refresh(&origin, CLIENT, &second["refresh_token"]).expect(200).json();
    refresh(&origin, CLIENT, &third["refresh_token"]).expect(200);
}

#[test]
fn a_refresh_token_that_many_use_at_once_gives_one_session() {
    let origin = with_account();
    let first = signed_in(&origin);
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..6).map(|_| scope.spawn(|| refresh(&origin, CLIENT, &first["refresh_token"]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().expect(200).json()).collect()
    });
    assert!(answers.iter().all(|answer| answer["refresh_token"] == answers[0]["refresh_token"]));
    refresh(&origin, CLIENT, &answers[0]["refresh_token"]).expect(200);
}

#[test]
fn the_grace_is_for_the_last_token_but_one_of_the_same_client() {
    let origin = with_account();
    let sign_in = || signed_in(&origin);
    let next = |token: &Value| refresh(&origin, CLIENT, token).expect(200).json()["refresh_token"].clone();
    let ended = |token: &Value| drop(refresh(&origin, CLIENT, token).refused(401, "Invalid refresh token"));
    // A thief has an older token. Even within seconds, that cannot be a client's honest repeat.
    let stolen = sign_in()["refresh_token"].clone();
    let second = next(&stolen);
    let third = next(&second);
    ended(&stolen);
    ended(&third);
    ended(&second);
    // Another client has the token.
    let stolen = sign_in()["refresh_token"].clone();
    let second = next(&stolen);
    refresh(&origin, "5hq2v8mfernhollowtv0049x", &stolen).refused(401, "Invalid refresh token");
    ended(&second);
    // A successor's grace begins when the successor itself is used.
    let first = sign_in()["refresh_token"].clone();
    let second = next(&first);
    origin.advance(3_600);
    let third = next(&second);
    assert_eq!(next(&second), third);
    ended(&first);
    ended(&third);
}

/// A reader of the database finds no usable token, even during a grace.
#[test]
fn the_salt_of_a_successor_goes_with_the_grace() {
    let origin = with_account();
    let sign_in = || signed_in(&origin);
    let first = sign_in()["refresh_token"].clone();
    refresh(&origin, CLIENT, &first).expect(200);
    let salts = || -> i64 {
        let sql = "SELECT count(successor_salt) FROM refresh_tokens";
        origin.connection().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(salts(), 1);
    origin.advance(30);
    sign_in();
    assert_eq!(salts(), 0);
}

#[test]
fn a_refresh_token_is_one_clients_and_ends() {
    let origin = with_account();
    let sign_in = || signed_in(&origin);
    let token = sign_in()["refresh_token"].clone();
    refresh(&origin, "5hq2v8mfernhollowtv0049x", &token).refused(401, "Invalid refresh token");
    origin.advance(30 * 86_400 - 1);
    let next = refresh(&origin, CLIENT, &token).expect(200).json()["refresh_token"].clone();
    origin.advance(30 * 86_400);
    refresh(&origin, CLIENT, &next).refused(401, "Invalid refresh token");
    // The account was removed.
    let token = sign_in()["refresh_token"].clone();
    origin.connection().execute("DELETE FROM accounts", []).unwrap();
    refresh(&origin, CLIENT, &token).refused(401, "Invalid refresh token");
    let stored: Vec<u8> = origin
        .connection()
        .query_row("SELECT coalesce(max(hash), x'00') FROM refresh_tokens", [], |row| row.get(0))
        .unwrap();
    assert!(!stored.is_empty() && stored != token.as_str().unwrap().as_bytes());
}

#[test]
fn a_new_password_or_secret_ends_earlier_sessions() {
    let origin = with_account();
    let set = ["client", "set", "--client-id", "shop", "--merchant", "2101", "--role", "merchant"];
    let secret = command(&origin, &set, "").unwrap();
    let form = format!("client_id=shop&grant_type=client_credentials&client_secret={secret}");
    let machine = authenticate(&origin, &form).expect(200).json();
    // A program has its secret instead; a refresh token from an earlier version still works.
    assert!(machine.get("refresh_token").is_none(), "{machine}");
    let earlier = Value::from("a refresh token of an earlier version");
    let hash = origin::tokens::secret::hash(earlier.as_str().unwrap());
    let insert =
        "INSERT INTO refresh_tokens (hash, family, client_id, machine, scope, expires_at, signed_in_at)
                  VALUES (?1, 'f', 'shop', 'shop', '', ?2, ?3)";
    origin.connection().execute(insert, (hash, origin.now() + 60, origin.now())).unwrap();
    let machine = refresh(&origin, "shop", &earlier).expect(200).json();
    let form = by_password(CLIENT, "ada@example.com", PASSWORD);
    let person = authenticate(&origin, &form).expect(200).json();
    command(&origin, &set, "").unwrap();
    refresh(&origin, "shop", &machine["refresh_token"]).refused(401, "Invalid refresh token");
    let person = refresh(&origin, CLIENT, &person["refresh_token"]).expect(200).json();
    let customer = format!("vendor:{CUSTOMER_SUBJECT}");
    let set = ["account", "set", "--merchant", "2101", "--username", "ada@example.com"];
    command(&origin, &[&set[..], &["--customer", &customer]].concat(), "changed horse").unwrap();
    refresh(&origin, CLIENT, &person["refresh_token"]).refused(401, "Invalid refresh token");
}
