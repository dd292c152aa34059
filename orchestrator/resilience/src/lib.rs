//! What stands between the engine and its participants: the guards before every call, and the transport that performs it.
//!
//! Read in this order: [`registry`] (all participants), [`gate`] (the guards of one, in their order), [`permit`] (what a call that may be made
//! holds), [`transport`] (the call itself), then what stands beside: [`health`], [`overrides`], [`guard_events`], [`lifecycle`], [`metrics`].

mod call_metrics;
pub mod call_signal;
pub mod failed_call;
pub mod gate;
pub mod guard_events;
pub mod health;
pub mod json_format;
pub mod lifecycle;
pub mod metrics;
pub mod overrides;
pub mod permit;
pub mod registry;
pub mod settings;
pub mod snapshot;
pub mod topic_availability;
pub mod transport;
