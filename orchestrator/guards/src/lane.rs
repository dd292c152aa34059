//! The two lanes of commands.

/// Which commands go first where not all can: undos, because they end what is half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriorityLane {
    /// Commands that undo.
    Undo,
    /// Commands that perform.
    Do,
}

impl PriorityLane {
    /// Both, in order.
    pub const ALL: [PriorityLane; 2] = [PriorityLane::Undo, PriorityLane::Do];

    /// Its place in [`PriorityLane::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            PriorityLane::Undo => 0,
            PriorityLane::Do => 1,
        }
    }
}
