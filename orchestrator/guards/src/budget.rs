//! The retry budget: further attempts may add only so much to the load of a participant.

/// How much further attempts may add.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// So many further attempts for each first one, on average: 0.2 is one for five.
    pub share: f64,
    /// So many a second are allowed in any case, so that a participant with little traffic is retried too.
    pub reserve_per_second: u32,
}

impl Default for Config {
    /// One for five, and ten a second: the defaults of Finagle's retry budget.
    fn default() -> Config {
        Config { share: 0.2, reserve_per_second: 10 }
    }
}
