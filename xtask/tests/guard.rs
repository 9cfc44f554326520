//! `xtask guard` leaves nothing behind: not a child, nor a child's child, however its owner ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails loudly has done its work")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A shell that starts a grandchild, prints its process id and waits: as wrangler does with workerd.
const PARENT: &str = "sleep 600 & echo $!; wait";

/// A guarded process tree and the id of the process at its end.
fn guarded(script: &str) -> (Child, u32) {
    let mut guard = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["guard", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(guard.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (guard, line.trim().parse().unwrap())
}

/// Whether a process lives. One that has ended without a parent to wait for it does not count.
fn lives(process: u32) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &process.to_string()]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn assert_ends(process: u32) {
    for _ in 0..100 {
        if !lives(process) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("process {process} outlived its guard by 10 s");
}

fn assert_has_ps() {
    assert!(Path::new("/bin/ps").exists() || Path::new("/usr/bin/ps").exists(), "these tests need ps");
}

#[test]
fn a_closed_pipe_ends_the_whole_tree() {
    assert_has_ps();
    let (mut guard, grandchild) = guarded(PARENT);
    assert!(lives(grandchild));
    drop(guard.stdin.take());
    assert_ends(grandchild);
    guard.wait().unwrap();
}

#[test]
fn a_tree_that_ignores_the_polite_signal_ends_too() {
    let (mut guard, grandchild) = guarded(&format!("trap '' TERM; {PARENT}"));
    drop(guard.stdin.take());
    assert_ends(grandchild);
    guard.wait().unwrap();
}

#[test]
fn what_a_dead_child_left_behind_ends() {
    let (mut guard, grandchild) = guarded("sleep 600 & echo $!");
    assert_ends(grandchild);
    assert!(!guard.wait().unwrap().success());
}
