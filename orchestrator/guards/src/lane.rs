//! Who goes first.

/// Who goes first where not everybody can: undos, because they end what is half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Commands that undo.
    Undo,
    /// Commands that perform.
    Do,
}

impl Lane {
    /// Both, in order.
    pub const ALL: [Lane; 2] = [Lane::Undo, Lane::Do];

    /// Its place in [`Lane::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Lane::Undo => 0,
            Lane::Do => 1,
        }
    }
}
