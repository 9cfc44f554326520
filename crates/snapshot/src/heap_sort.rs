//! A small sort for the Worker: the standard library's takes 5 KiB of Wasm for each type of elements.

/// Sorts in place, by a heap: n log n at worst. Equal elements may change places.
///
/// ```
/// let mut numbers = [3, 1, 2];
/// admit_snapshot::heap_sort::heap_sort(&mut numbers, |left, right| left < right);
/// assert_eq!(numbers, [1, 2, 3]);
/// ```
pub fn heap_sort<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    let is_less_at = |items: &[T], left: usize, right: usize| match (items.get(left), items.get(right)) {
        (Some(left), Some(right)) => is_less(left, right),
        _ => false,
    };
    // First every parent becomes the largest of its part of the heap; then the largest moves behind the heap.
    for step in (0..items.len().saturating_add(items.len() / 2)).rev() {
        let (mut parent, end) = match step.checked_sub(items.len()) {
            Some(parent) => (parent, items.len()),
            None => {
                items.swap(0, step);
                (0, step)
            }
        };
        loop {
            let mut child = 2 * parent + 1;
            if child >= end {
                break;
            }
            if child + 1 < end && is_less_at(items, child, child + 1) {
                child += 1;
            }
            if !is_less_at(items, parent, child) {
                break;
            }
            items.swap(parent, child);
            parent = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(mut numbers in proptest::collection::vec(0_u8..50, 0..200)) {
            let mut expected = numbers.clone();
            expected.sort_unstable();
            heap_sort(&mut numbers, |left, right| left < right);
            prop_assert_eq!(numbers, expected);
        }
    }
}
