//! What the journal of a saga folds to.
