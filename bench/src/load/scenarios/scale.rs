//! How large a run is: sizes of the data, numbers of tokens, length and number of turns.

/// The sizes of a run.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Customers in the snapshot, and documents in KV.
    pub customers: u64,
    /// Turns of each subject.
    pub rounds: u64,
    /// How long a turn is, in milliseconds.
    pub slice_ms: u64,
    /// Tokens of scenarios in which each is new.
    pub new_tokens: u64,
    /// Tokens that each ask for several items.
    pub item_tokens: u64,
    /// Tokens of the scenario with more than the caches hold.
    pub many_tokens: u64,
    /// First checks of viewers, each of another one.
    pub first_checks: u64,
    /// Numbers of tokens to see growth by.
    pub growth_tokens: &'static [u64],
    /// Numbers of customers to see growth by, each a snapshot of its own, the last with all customers.
    pub growth_customers: &'static [u64],
    /// Turns of each subject at each point of growth.
    pub growth_rounds: u64,
    /// Processes that are started to see how long they take.
    pub cold_starts: usize,
    /// Whether it is too short to be relied upon.
    pub is_a_first_look: bool,
    /// Only to see that everything works.
    pub is_smoke: bool,
}

impl Scale {
    /// The smallest of everything.
    pub const SMOKE: Self = Self {
        customers: 200,
        rounds: 2,
        slice_ms: 10,
        new_tokens: 60,
        item_tokens: 20,
        many_tokens: 500,
        first_checks: 100,
        growth_tokens: &[1, 100],
        growth_customers: &[100, 200],
        growth_rounds: 2,
        cold_starts: 1,
        is_a_first_look: true,
        is_smoke: true,
    };
    pub const QUICK: Self = Self {
        customers: 10_000,
        rounds: 10,
        slice_ms: 40,
        new_tokens: 3_000,
        item_tokens: 200,
        many_tokens: 20_000,
        first_checks: 500,
        growth_tokens: &[1, 10, 100, 1_000, 8_000, 30_000],
        growth_customers: &[1_000, 10_000],
        growth_rounds: 6,
        cold_starts: 3,
        is_a_first_look: true,
        is_smoke: false,
    };
    /// The run that docs/performance.md shows.
    pub const FULL: Self = Self {
        customers: 100_000,
        rounds: 150,
        slice_ms: 70,
        new_tokens: 30_000,
        item_tokens: 1_000,
        many_tokens: 100_000,
        first_checks: 4_000,
        growth_tokens: &[1, 10, 100, 1_000, 8_000, 30_000],
        growth_customers: &[1_000, 10_000, 100_000],
        growth_rounds: 40,
        cold_starts: 21,
        is_a_first_look: false,
        is_smoke: false,
    };
}
