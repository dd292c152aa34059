//! Reading the event store's logs of notes: how far one was read ([`bookmark`]), and logs whose entries supersede one
//! another ([`succession`]).

pub mod bookmark;
pub mod succession;
