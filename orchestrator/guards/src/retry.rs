//! Retry policies: how many attempts, and how long between them.
