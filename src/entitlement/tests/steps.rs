//! The cost of a check, counted in reads: each access of the customer and each package of the item is read
//! once.

use std::cell::Cell;

use proptest::{collection::vec, prelude::*};

use super::*;

fn access(item_id: i64) -> Access {
    Access { id: item_id, item_id, created_at: 1, ..Access::default() }
}

/// The grants that lead to `item_id`, and how many accesses and packages were read to find them.
fn counted(
    accesses: &[i64],
    packages: &[i64],
    item_id: i64,
) -> (Result<Vec<(i64, Reason)>, FormatError>, usize) {
    let (steps, mut found) = (Cell::new(0), Vec::new());
    let count = || steps.set(steps.get() + 1);
    let accesses = accesses.iter().inspect(|_| count()).map(|id| Ok(access(*id)));
    let packages = packages.iter().inspect(|_| count()).copied();
    let outcome = leading(accesses, packages, item_id, |access, reason| found.push((access.item_id, reason)));
    (outcome.map(|()| found), steps.get())
}

#[test]
fn ten_thousand_accesses_and_five_thousand_packages_are_read_once() {
    let accesses: Vec<_> = (0..10_000).map(|number| 2 * number).collect();
    let packages: Vec<_> = (0..5_000).map(|number| 2 * number + 1).chain([19_998]).collect();
    let (found, steps) = counted(&accesses, &packages, 77_777);
    assert_eq!(found.unwrap(), [(19_998, Reason::PackageAccess)]);
    assert!(steps <= 15_001, "{steps}");
}

#[test]
fn lists_that_do_not_ascend_are_corrupt_not_a_denial() {
    for (accesses, packages) in [(&[3, 2][..], &[][..]), (&[1, 9], &[5, 4])] {
        assert!(counted(accesses, packages, 3).0.is_err(), "{accesses:?} {packages:?}");
    }
}

proptest! {
    #[test]
    fn leading_grants_are_those_that_a_search_finds(
        mut accesses in vec(-9..9_i64, 0..12), mut packages in vec(-9..9_i64, 0..12), item_id in -9..9_i64,
    ) {
        accesses.sort_unstable();
        packages.sort_unstable();
        let expected: Vec<_> = accesses.iter().filter_map(|id| {
            let reason = if *id == item_id { Reason::ItemAccess } else { Reason::PackageAccess };
            (*id == item_id || packages.contains(id)).then_some((*id, reason))
        }).collect();
        let (found, steps) = counted(&accesses, &packages, item_id);
        prop_assert_eq!(found.unwrap(), expected);
        prop_assert!(steps <= accesses.len() + packages.len());
    }
}
