//! The two lanes of commands.

/// Which commands go first where not all can: undos, because they end what is half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriorityLane {
    /// Commands that undo a step; they go first.
    Undo,
    /// Commands that perform a step; they go after the undos.
    Do,
}

impl PriorityLane {
    /// Both lanes, the one that goes first at the front.
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
