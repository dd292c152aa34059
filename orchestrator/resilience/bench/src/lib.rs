//! The benchmark of the guards is in `benches`. It is a package of its own because the tests of `saga-resilience` use a
//! lock that schedules can be tried on, and Cargo would build the benchmark with that lock, too.
