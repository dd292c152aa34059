//! The rules of the state machine, one small test for each, and what must hold whatever happens.

mod given;
mod snapshots;
mod surroundings;
mod words;

mod admission;
mod bookkeeping;
mod capabilities;
mod conflict;
mod digits;
mod ends;
mod erase;
mod fallback;
mod forward;
mod limits;
mod mended;
mod migrated;
mod operator;
mod optional;
mod outages;
mod parallel;
mod pivot;
mod pivot_in_doubt;
mod properties;
mod prospects;
mod recovery;
mod rejected;
mod repeated;
mod rerun;
mod spans;
mod state_machine_page;
mod timeouts;
mod transitions;
mod undo;
mod unknown;
mod what_if;
