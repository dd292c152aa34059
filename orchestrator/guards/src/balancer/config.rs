//! How an endpoint is picked, and when one is left out.

use std::{num::NonZeroU32, time::Duration};

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BalancingStrategy {
    /// In turn, each as often as its weight says.
    #[default]
    RoundRobin,
    /// Of two drawn at random, the one with fewer calls under way for its weight ("The Power of Two Choices in
    /// Randomized Load Balancing", Mitzenmacher 2001).
    LeastConnections,
    /// Drawn at random by weight.
    Random,
}

/// When an endpoint is left out. Never more than half of them are at once: too few would fall next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionConfig {
    /// So many failures in a row.
    pub consecutive_failures: NonZeroU32,
    /// How long the first time; the second time twice as long, and so on.
    pub eject_for: Duration,
    /// An endpoint is never left out for longer than this at a time.
    pub max_eject_for: Duration,
}

impl Default for EjectionConfig {
    /// The defaults of Envoy's outlier detection: 5 failures, 30 s, 300 s.
    fn default() -> EjectionConfig {
        EjectionConfig {
            consecutive_failures: NonZeroU32::new(5).expect("5 is not zero"),
            eject_for: Duration::from_secs(30),
            max_eject_for: Duration::from_secs(300),
        }
    }
}
