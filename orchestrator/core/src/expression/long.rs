//! Numbers that no type of CEL holds exactly. They pass through an expression as they are; to compute with one is an
//! error that names it.

use super::own_error;
use crate::json::DecimalNumber;
use cel::{
    ExecutionError,
    common::{
        traits::{Adder, Comparer, Divider, Modder, Multiplier, Negator, Subtractor},
        types::{CelDouble, CelInt, CelString, CelUInt, Type},
        value::{CowVal, StaticVal, Val},
    },
};
use std::{any::Any, cell::RefCell, cmp::Ordering, sync::Arc};

/// The name of the type, as errors of CEL give it.
pub(super) const NAME: &str = "long number";

pub(super) static TYPE: Type = Type::new_unspecified_type(NAME);

thread_local! {
    /// The last one that CEL looked at in this evaluation: CEL's own errors do not name it.
    static LOOKED_AT: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// A number with more digits than an int, a uint or a double holds.
#[derive(Clone, Debug)]
pub(super) struct LongNumber {
    text: Arc<str>,
    decimal: DecimalNumber,
}

impl LongNumber {
    pub(super) fn new(text: &str, decimal: DecimalNumber) -> LongNumber {
        LongNumber { text: text.into(), decimal }
    }

    /// The number's digits, exactly as the event carries them.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn look(&self) {
        LOOKED_AT.set(Some(Arc::clone(&self.text)));
    }

    fn refusal(&self) -> ExecutionError {
        own_error::in_our_words(message(&self.text))
    }
}

/// Before an evaluation: none has been looked at.
pub(super) fn forget() {
    LOOKED_AT.set(None);
}

/// Why nothing is computed with the one that CEL looked at last, if it looked at one.
pub(super) fn refused() -> Option<String> {
    LOOKED_AT.with_borrow(|text| text.as_deref().map(message))
}

fn message(text: &str) -> String {
    format!(
        "the number {text} has more digits than expressions compute with; only select it, or let the event carry it \
            as a string"
    )
}

/// `string(x)` of a long number: its digits.
pub(super) fn to_string<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let number = args.pop().and_then(|value| value.downcast_ref::<LongNumber>().map(|it| it.text().to_owned()));
    let text = number.ok_or_else(|| ExecutionError::InternalError("not a long number".into()))?;
    Ok(CowVal::owned(CelString::from(text)))
}

/// The decimal that a number of any type stands for; `None` of what is not a number or not finite.
pub(super) fn decimal(value: &dyn Val) -> Option<DecimalNumber> {
    if let Some(number) = value.downcast_ref::<LongNumber>() {
        return Some(number.decimal.clone());
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return DecimalNumber::of(&int.inner().to_string());
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return DecimalNumber::of(&uint.inner().to_string());
    }
    DecimalNumber::of_double(*value.downcast_ref::<CelDouble>()?.inner())
}

impl Val for LongNumber {
    fn get_type(&self) -> &Type {
        self.look();
        &TYPE
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn equals(&self, other: &dyn Val) -> bool {
        decimal(other).is_some_and(|other| other == self.decimal)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.look();
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)> {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)> {
        Some(self)
    }

    fn as_multiplier<'b, 'v>(&'b self) -> Option<&'b (dyn Multiplier + 'v)> {
        Some(self)
    }

    fn as_divider<'b, 'v>(&'b self) -> Option<&'b (dyn Divider + 'v)> {
        Some(self)
    }

    fn as_modder<'b, 'v>(&'b self) -> Option<&'b (dyn Modder + 'v)> {
        Some(self)
    }

    fn as_negator<'b, 'v>(&'b self) -> Option<&'b (dyn Negator + 'v)> {
        Some(self)
    }
}

impl StaticVal for LongNumber {}

impl Comparer for LongNumber {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        decimal(other).map(|other| self.decimal.cmp(&other)).ok_or_else(|| self.refusal())
    }
}

impl Adder for LongNumber {
    fn add<'b, 'v>(&'b self, _: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.refusal())
    }
}

impl Subtractor for LongNumber {
    fn sub<'b, 'v>(&'b self, _: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.refusal())
    }
}

impl Multiplier for LongNumber {
    fn mul<'b, 'v>(&'b self, _: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.refusal())
    }
}

impl Divider for LongNumber {
    fn div<'b, 'v>(&'b self, _: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.refusal())
    }
}

impl Modder for LongNumber {
    fn modulo<'b, 'v>(&'b self, _: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.refusal())
    }
}

impl Negator for LongNumber {
    fn negate<'v>(&self) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.refusal())
    }
}
