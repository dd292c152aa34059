//! What the definition of a saga says is sensitive, as it is shown: as masks, unless somebody may see it and asks.

use super::history::HistoryLine;
use saga_core::{
    definition::SensitivePaths,
    describe::{RequestView, SagaView},
};

/// Whether sensitive values are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SensitiveDetail {
    /// A mask stands for each.
    #[default]
    Masked,
    /// The reader has asked for them, and may see them.
    Shown,
}

impl SensitiveDetail {
    /// A saga with its sensitive values, or with masks for them.
    #[must_use]
    pub fn of_saga(self, mut saga: SagaView, sensitive: &SensitivePaths) -> SagaView {
        if self == SensitiveDetail::Shown || sensitive.is_empty() {
            return saga;
        }
        for step in &mut saga.steps {
            for RequestView { to, body } in step.sent.iter_mut().chain(step.undo_sent.iter_mut()) {
                *to = sensitive.masked_query(to);
                sensitive.mask(body);
            }
            step.result.iter_mut().for_each(|result| sensitive.mask(result));
        }
        saga.trigger.iter_mut().for_each(|trigger| sensitive.mask(&mut trigger.event));
        saga.output.iter_mut().for_each(|output| sensitive.mask(output));
        saga
    }

    /// A history with its sensitive values, or with masks for them.
    #[must_use]
    pub fn of_history(self, mut lines: Vec<HistoryLine>, sensitive: &SensitivePaths) -> Vec<HistoryLine> {
        if self == SensitiveDetail::Shown || sensitive.is_empty() {
            return lines;
        }
        for line in &mut lines {
            line.text = sensitive.masked_query(&line.text);
            line.payload.iter_mut().for_each(|payload| sensitive.mask(payload));
            sensitive.mask_event(&mut line.data);
        }
        lines
    }
}
