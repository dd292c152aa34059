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
    /// The broker is killed and started again.
    KillBroker,
    /// The broker stands still.
    PauseBroker,
}

impl Fault {
    /// Each of them.
    pub(crate) const ALL: [Fault; 11] = [
        Fault::KillEngine,
        Fault::SilentDatabase,
        Fault::ForgetConnections,
        Fault::PauseEngine,
        Fault::CutDatabase,
        Fault::PauseBroker,
        Fault::SilentAnswers,
        Fault::KillAllEngines,
        Fault::KillDatabase,
        Fault::KillBroker,
        Fault::PauseDatabase,
    ];

    /// How people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::KillEngine => "an engine is killed",
            Fault::KillAllEngines => "both engines are killed, none for a while",
            Fault::PauseEngine => "an engine stands still",
            Fault::CutDatabase => "the way to the database is cut",
            Fault::SilentDatabase => "the way to the database is silent",
            Fault::ForgetConnections => "connections to the database are forgotten",
            Fault::SilentAnswers => "answers of the database are lost",
            Fault::KillDatabase => "the database is killed",
            Fault::PauseDatabase => "the database stands still",
            Fault::KillBroker => "the broker is killed",
            Fault::PauseBroker => "the broker stands still",
        }
    }
}

/// Draws faults; the same seed draws the same ones.
#[derive(Debug)]
pub(crate) struct Draw {
    seed: u64,
    state: u64,
}

impl Draw {
    /// From `seed`, or from one that is new each time.
    pub(crate) fn seeded(seed: Option<u64>) -> Draw {
        let seed = seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
        Draw { seed, state: seed }
    }

    /// What repeats this run.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The next one.
    pub(crate) fn fault(&mut self) -> Fault {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let count = Fault::ALL.len() as u64;
        Fault::ALL[usize::try_from((z ^ (z >> 31)) % count).expect("it is below the number of faults")]
    }
}
