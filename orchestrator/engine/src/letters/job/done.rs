//! What a job has done by what is on record: the acts on its letters. A letter that it did not bring has no act; such a
//! letter comes again when the job is resumed.

use super::{ITEMS_KEPT, LetterJobOrder, LetterJobStatus, LetterJobView, LetterSelection};
use crate::letters::bringing::{BroughtItem, BroughtResult, LetterCourier};
use saga_core::{
    id::SagaId,
    time::{Timestamp, from_rfc3339},
};
use saga_event_store::{LetterActQuery, StoreError, StoredLetterAct};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use uuid::Uuid;

/// Acts that are read at once.
const PAGE: u32 = 1_000;

/// How far the clocks of two engines may be apart: an act can have an earlier time than the order.
const CLOCKS_APART: Duration = Duration::from_secs(600);

/// What a job has done so far.
pub(super) struct JobWork {
    /// When it began.
    pub(super) began_at: Timestamp,
    /// How many letters it brought.
    pub(super) brought: usize,
    /// How many letters had each result.
    pub(super) counts: BTreeMap<Cow<'static, str>, usize>,
    /// The latest letters that it brought, in their order.
    pub(super) items: VecDeque<BroughtItem>,
    /// Places of all that it brought, if it would come to them again.
    pub(super) settled: BTreeSet<String>,
}

impl JobWork {
    pub(super) fn none(began_at: Timestamp) -> JobWork {
        let (counts, items, settled) = (BTreeMap::new(), VecDeque::new(), BTreeSet::new());
        JobWork { began_at, brought: 0, counts, items, settled }
    }

    /// Adds a letter that was brought before all that are known.
    fn precede(&mut self, item: BroughtItem, comes_again: bool) {
        self.brought += 1;
        *self.counts.entry(Cow::Borrowed(item.result.as_str())).or_default() += 1;
        if comes_again {
            self.settled.insert(item.place.clone());
        }
        if self.items.len() < ITEMS_KEPT {
            self.items.push_front(item);
        }
    }

    async fn read(
        mut self,
        courier: &LetterCourier,
        (job, who): (Uuid, &str),
        comes_again: bool,
    ) -> Result<JobWork, StoreError> {
        let (of_job, since_ms) = (format!("{job}:"), self.began_at.minus(CLOCKS_APART).0);
        let who = Some(who.to_owned());
        let mut wanted = LetterActQuery { who, since_ms, limit: PAGE, ..LetterActQuery::default() };
        loop {
            let page = courier.store.letter_acts(&wanted).await?;
            let of_it = page.iter().filter(|act| act.id.starts_with(&of_job));
            of_it.filter_map(|act| item(act, courier.place(&act.place))).for_each(|it| self.precede(it, comes_again));
            let Some(last) = page.last() else { return Ok(self) };
            wanted.before = (last.at_ms, last.number);
        }
    }
}

/// What is on record of a job that was ordered at this time.
pub(super) async fn on_record(
    courier: &LetterCourier,
    order: &LetterJobOrder,
    began_at: Timestamp,
) -> Result<JobWork, StoreError> {
    let comes_again = order.bring.again || matches!(order.selection, LetterSelection::Named(_));
    JobWork::none(began_at).read(courier, (order.bring.id, &order.bring.who), comes_again).await
}

/// The latest letters of a job that another engine runs or ran. One without an end gets the counts of all.
pub(super) async fn shown(
    courier: &LetterCourier,
    job: &mut LetterJobView,
) -> Result<VecDeque<BroughtItem>, StoreError> {
    let began_at = from_rfc3339(&job.started_at).unwrap_or(Timestamp(0));
    let JobWork { brought, counts, items, .. } =
        JobWork::none(began_at).read(courier, (job.id, &job.who), false).await?;
    if job.status == LetterJobStatus::NoEnd {
        (job.looked_at, job.counts) = (brought, counts);
    }
    Ok(items)
}

/// The letter of an act, and what became of it; `None`: the act brought nothing.
fn item(act: &StoredLetterAct, place: String) -> Option<BroughtItem> {
    let (result, more) = result(act.result.as_deref()?)?;
    let (saga, message) = match more.split_once(' ') {
        Some((saga, message)) if is_saga(saga) => (Some(saga), message),
        None if is_saga(more) => (Some(more), ""),
        Some(_) | None => (None, more),
    };
    let message = (!message.is_empty()).then(|| message.to_owned());
    Some(BroughtItem { place, letter: act.letter.clone(), result, saga: saga.map(str::to_owned), message })
}

fn result(text: &str) -> Option<(BroughtResult, &str)> {
    BroughtResult::ALL.into_iter().find_map(|result| {
        let more = text.strip_prefix(result.as_str())?;
        (more.is_empty() || more.starts_with(' ')).then(|| (result, more.trim_start()))
    })
}

fn is_saga(word: &str) -> bool {
    word.parse::<SagaId>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_event_store::{ActSource, LetterCoordinates};

    const SAGA: &str = "018f6e0a-7c5b-7000-8000-000000000001";

    fn of(result: &str) -> Option<BroughtItem> {
        let act = StoredLetterAct {
            number: 1,
            at_ms: 7,
            place: LetterCoordinates { topic: "saga.dlq".into(), partition: 0, offset: 17 },
            letter: "shop.orders/3/14/order".into(),
            who: "ada".into(),
            action: "redrive dead letter".into(),
            why: "mended".into(),
            result: Some(result.to_owned()),
            id: format!("{}:0/17", Uuid::nil()),
            source: ActSource::default(),
            before: None,
            after: None,
        };
        item(&act, "0/17".into())
    }

    fn item_of(result: BroughtResult, saga: Option<&str>, message: Option<&str>) -> Option<BroughtItem> {
        let (saga, message) = (saga.map(str::to_owned), message.map(str::to_owned));
        Some(BroughtItem { place: "0/17".into(), letter: "shop.orders/3/14/order".into(), result, saga, message })
    }

    #[test]
    fn what_an_act_says_is_what_became_of_its_letter() {
        assert_eq!(of(&format!("started {SAGA}")), item_of(BroughtResult::Started, Some(SAGA), None));
        let other = of(&format!("duplicate {SAGA} which began with another payload"));
        let said = Some("which began with another payload");
        assert_eq!(other, item_of(BroughtResult::Duplicate, Some(SAGA), said));
        assert_eq!(of("poison again key: none"), item_of(BroughtResult::PoisonAgain, None, Some("key: none")));
        assert_eq!(of("answered"), item_of(BroughtResult::Answered, None, None));
    }

    #[test]
    fn an_act_of_another_kind_is_no_letter_of_a_job() {
        assert_eq!(of("imported"), None);
        assert_eq!(of("startedby hand"), None);
    }
}
