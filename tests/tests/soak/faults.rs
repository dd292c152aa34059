//! What breaks, and in which order.

/// One thing that breaks, and is whole again some seconds later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// One engine is killed and started again at once.
    KillEngine,
    /// Both engines are killed, and started again after a while.
    KillAllEngines,
    /// One engine stands still for longer than its group's session.
    PauseEngine,
    /// One engine after the other ends in good order and comes back with one more definition.
    RollOut,
    /// Operators retry, skip, cancel and abandon what is under way.
    Operators,
    /// Connections to the database break, and new ones are refused for a while.
    CutDatabase,
    /// The way to the database swallows everything.
    SilentDatabase,
    /// A router forgets the connections to the database: they stay open, and nothing comes of them. New ones work.
    ForgetConnections,
    /// What the database answers is swallowed: commits whose answers never come.
    SilentAnswers,
    /// The database is killed and started again.
    KillDatabase,
    /// The database stands still.
    PauseDatabase,
    /// Sessions end and new ones may only read, as at a node that was demoted.
    ReadOnlyDatabase,
    /// A session of somebody holds the lock of one shard, and does nothing.
    LockShard,
    /// The broker is killed and started again.
    KillBroker,
    /// The broker stands still.
    PauseBroker,
    /// A member that is no engine takes partitions of triggers and of shards, and does nothing with them.
    ForeignMember,
    /// A producer of somebody leaves a transaction open on triggers, replies and inbox.
    OpenTransaction,
    /// The topic of triggers gets a partition more.
    MorePartitions,
    /// Topics take small batches only, while much is due at once because the engines stood still.
    SmallBatches,
    /// The topic of commands refuses every record.
    CommandsRefused,
    /// The topic of outcome events refuses every record.
    OutcomesRefused,
    /// The topic of outcome events is deleted, and made anew after a while.
    OutcomesDeleted,
}

impl Fault {
    /// Each of them.
    pub(crate) const ALL: [Fault; 22] = [
        Fault::KillEngine,
        Fault::KillAllEngines,
        Fault::PauseEngine,
        Fault::RollOut,
        Fault::Operators,
        Fault::CutDatabase,
        Fault::SilentDatabase,
        Fault::ForgetConnections,
        Fault::SilentAnswers,
        Fault::KillDatabase,
        Fault::PauseDatabase,
        Fault::ReadOnlyDatabase,
        Fault::LockShard,
        Fault::KillBroker,
        Fault::PauseBroker,
        Fault::ForeignMember,
        Fault::OpenTransaction,
        Fault::MorePartitions,
        Fault::SmallBatches,
        Fault::CommandsRefused,
        Fault::OutcomesRefused,
        Fault::OutcomesDeleted,
    ];

    /// How people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::KillEngine => "an engine is killed",
            Fault::KillAllEngines => "both engines are killed, none for a while",
            Fault::PauseEngine => "an engine stands still",
            Fault::RollOut => "one more definition is rolled out",
            Fault::Operators => "operators act on what is under way",
            Fault::CutDatabase => "the way to the database is cut",
            Fault::SilentDatabase => "the way to the database is silent",
            Fault::ForgetConnections => "connections to the database are forgotten",
            Fault::SilentAnswers => "answers of the database are lost",
            Fault::KillDatabase => "the database is killed",
            Fault::PauseDatabase => "the database stands still",
            Fault::ReadOnlyDatabase => "the database is read-only",
            Fault::LockShard => "somebody holds the lock of a shard",
            Fault::KillBroker => "the broker is killed",
            Fault::PauseBroker => "the broker stands still",
            Fault::ForeignMember => "somebody joins the engines' groups",
            Fault::OpenTransaction => "somebody leaves a transaction open",
            Fault::MorePartitions => "triggers get a partition more",
            Fault::SmallBatches => "topics take small batches only",
            Fault::CommandsRefused => "the topic of commands refuses all",
            Fault::OutcomesRefused => "the topic of outcomes refuses all",
            Fault::OutcomesDeleted => "the topic of outcomes is deleted",
        }
    }
}

/// Draws faults; the same seed draws the same ones. All have come once before one comes again.
#[derive(Debug)]
pub(crate) struct Draw {
    seed: u64,
    state: u64,
    wanted: Vec<Fault>,
    left: Vec<Fault>,
}

impl Draw {
    /// From `seed`, or from one that is new each time; of the faults whose names stand in `only`, or of all.
    pub(crate) fn seeded(seed: Option<u64>, only: Option<&str>) -> Draw {
        let seed = seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
        let is_wanted = |fault: &Fault| only.is_none_or(|only| only.contains(&format!("{fault:?}")));
        let wanted: Vec<Fault> = Fault::ALL.into_iter().filter(is_wanted).collect();
        assert!(!wanted.is_empty(), "{only:?} names none of {:?}", Fault::ALL);
        Draw { seed, state: seed, wanted, left: Vec::new() }
    }

    /// How many kinds are drawn.
    pub(crate) fn kinds(&self) -> usize {
        self.wanted.len()
    }

    /// What repeats this run.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The next one.
    pub(crate) fn fault(&mut self) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.wanted);
        }
        let index = self.below(self.left.len());
        self.left.swap_remove(index)
    }

    fn below(&mut self, count: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % count as u64).expect("it is below a number of faults")
    }
}
