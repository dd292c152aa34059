//! Reading the event store's logs of notes: how far one was read ([`bookmark`]), logs whose entries supersede one
//! another ([`succession`]), and logs that are read whole ([`whole_log`]).

pub mod bookmark;
pub mod succession;
pub mod whole_log;
