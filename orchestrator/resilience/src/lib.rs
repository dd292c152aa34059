//! The guards before every call to a participant, and the transport that performs the call.
//!
//! Read in this order: [`gate`] (the guards of one participant in their order, on one page), [`registry`] (all
//! participants), [`permit`] (what an admitted call holds until its end), [`call_signal`] (what a result means for the
//! guards), [`transport`] (the call itself). Beside them: [`health`] checks, operators' [`overrides`],
//! [`guard_events`], the [`lifecycle`] of participants, [`metrics`], [`outbound`] addresses.

mod call_metrics;
pub mod call_signal;
pub mod failed_call;
pub mod gate;
pub mod guard_events;
pub mod health;
pub mod json_format;
pub mod lifecycle;
pub mod metric_catalogue;
pub mod metrics;
pub mod outbound;
pub mod overrides;
pub mod permit;
pub mod registry;
pub mod settings;
pub mod snapshot;
pub mod topic_availability;
pub mod transport;
