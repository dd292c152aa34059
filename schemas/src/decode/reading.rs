//! Walks bytes by a plan.

use super::{
    MAX_DEPTH, MAX_VALUES,
    cursor::ByteCursor,
    fault::{DecodeError, DecodeFault, RisingFault},
    plan::{
        COST_OF_CONTAINER, FieldFate, FieldReading, ReadIndex, ReadPlan, ReadStep, RecordReading, SymbolReading,
        cost_of_text,
    },
};
use crate::{
    logical::{LogicalFault, bytes_value, int_value, long_value},
    value_path::PathPart,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Most items that memory is set aside for at once; more come as they are read.
const MAX_RESERVED: usize = 256;

/// serde_json keeps names that begin so for itself.
const RESERVED: &str = "$serde_json::private::";

/// Reads all of `bytes`.
pub(super) fn read(plan: &ReadPlan, bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = DatumReader { plan, cursor: ByteCursor::new(bytes), values_left: MAX_VALUES };
    let value = reader.value(ReadIndex(0), MAX_DEPTH)?;
    match reader.cursor.left() {
        0 => Ok(value),
        left => Err(RisingFault::new(reader.cursor.offset(), DecodeFault::Trailing { left }).into()),
    }
}

struct DatumReader<'p, 'b> {
    plan: &'p ReadPlan,
    cursor: ByteCursor<'b>,
    values_left: usize,
}

impl<'p> DatumReader<'p, '_> {
    fn value(&mut self, at: ReadIndex, levels: usize) -> Result<Value, RisingFault> {
        self.spend(1)?;
        let plan = self.plan;
        let offset = self.cursor.offset();
        let logical = |fault: LogicalFault| RisingFault::new(offset, fault);
        match &plan.steps[at.0] {
            ReadStep::Null => Ok(Value::Null),
            ReadStep::Boolean => self.cursor.boolean().map(Value::Bool),
            ReadStep::Int(meaning) => int_value(*meaning, self.cursor.int()?).map_err(logical),
            ReadStep::Long(meaning) => long_value(*meaning, self.cursor.long()?).map_err(logical),
            ReadStep::IntegerAsFloat => self.cursor.long().map(Value::from),
            ReadStep::Float => self.cursor.float().map(float_value),
            ReadStep::Double => self.cursor.double().map(double_value),
            ReadStep::Bytes(meaning) => bytes_value(*meaning, self.cursor.bytes()?).map_err(logical),
            ReadStep::Fixed(size, meaning) => bytes_value(*meaning, self.cursor.fixed(*size)?).map_err(logical),
            ReadStep::Text => self.cursor.text().map(Value::from),
            ReadStep::Enum(symbols) => self.symbol(symbols),
            ReadStep::Array(items) => self.array(*items, levels),
            ReadStep::Map(values) => self.map(*values, levels),
            ReadStep::Union(branches) => {
                let branch = self.cursor.index("branches", branches.len())?;
                self.value(branches[branch], levels)
            }
            ReadStep::Record(record) => self.record(record, levels),
            ReadStep::Mismatch(told) => Err(RisingFault::new(offset, DecodeFault::Mismatch(Arc::clone(told)))),
        }
    }

    fn spend(&mut self, values: usize) -> Result<(), RisingFault> {
        match self.values_left.checked_sub(values) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(RisingFault::new(self.cursor.offset(), DecodeFault::TooManyValues)),
        }
    }

    fn below(&self, levels: usize) -> Result<usize, RisingFault> {
        levels.checked_sub(1).ok_or_else(|| RisingFault::new(self.cursor.offset(), DecodeFault::Depth))
    }

    fn symbol(&mut self, symbols: &[SymbolReading]) -> Result<Value, RisingFault> {
        let offset = self.cursor.offset();
        let index = self.cursor.index("symbols", symbols.len())?;
        match &symbols[index] {
            SymbolReading::Symbol(symbol) => {
                self.spend(cost_of_text(symbol))?;
                Ok(Value::from(&**symbol))
            }
            SymbolReading::Mismatch(told) => Err(RisingFault::new(offset, DecodeFault::Mismatch(Arc::clone(told)))),
        }
    }

    /// Items of the next block, 0 at the end. More than may still be read are refused before the first.
    fn block(&mut self) -> Result<usize, RisingFault> {
        let offset = self.cursor.offset();
        let count = self.cursor.block()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= self.values_left);
        count.ok_or_else(|| RisingFault::new(offset, DecodeFault::TooManyValues))
    }

    fn array(&mut self, step: ReadIndex, levels: usize) -> Result<Value, RisingFault> {
        let levels = self.below(levels)?;
        self.spend(COST_OF_CONTAINER)?;
        let mut items = Vec::new();
        loop {
            let count = self.block()?;
            if count == 0 {
                return Ok(Value::Array(items));
            }
            items.reserve(count.min(MAX_RESERVED));
            for _ in 0..count {
                let at = items.len();
                items.push(self.value(step, levels).map_err(|fault| fault.within(PathPart::Item(at)))?);
            }
        }
    }

    fn map(&mut self, step: ReadIndex, levels: usize) -> Result<Value, RisingFault> {
        let levels = self.below(levels)?;
        self.spend(COST_OF_CONTAINER)?;
        let mut entries = Map::new();
        loop {
            let count = self.block()?;
            if count == 0 {
                return Ok(Value::Object(entries));
            }
            for _ in 0..count {
                self.entry(&mut entries, step, levels)?;
            }
        }
    }

    fn entry(&mut self, entries: &mut Map<String, Value>, step: ReadIndex, levels: usize) -> Result<(), RisingFault> {
        let offset = self.cursor.offset();
        let key = self.cursor.text()?.to_owned();
        if key.starts_with(RESERVED) {
            return Err(RisingFault::new(offset, DecodeFault::ReservedKey));
        }
        if entries.contains_key(&key) {
            return Err(RisingFault::new(offset, DecodeFault::RepeatedKey(key)));
        }
        match self.value(step, levels) {
            Ok(value) => {
                entries.insert(key, value);
                Ok(())
            }
            Err(fault) => Err(fault.within(PathPart::Key(key))),
        }
    }

    fn record(&mut self, record: &'p RecordReading, levels: usize) -> Result<Value, RisingFault> {
        let levels = self.below(levels)?;
        self.spend(record.cost)?;
        let mut fields = Map::new();
        for field in &record.fields {
            let value = self.value(field.step, levels).map_err(|fault| within(fault, field))?;
            match field.fate {
                FieldFate::Kept => drop(fields.insert((*field.name).to_owned(), value)),
                FieldFate::Dropped => {}
            }
        }
        let defaults = record.defaults.iter().map(|(name, value)| ((**name).to_owned(), value.clone()));
        fields.extend(defaults);
        Ok(Value::Object(fields))
    }
}

#[cold]
fn within(fault: RisingFault, field: &FieldReading) -> RisingFault {
    fault.within(PathPart::Field(Arc::clone(&field.name)))
}

/// The fewest digits that give the same float.
fn float_value(value: f32) -> Value {
    if value.is_finite() { Value::from(value) } else { not_finite(f64::from(value)) }
}

fn double_value(value: f64) -> Value {
    if value.is_finite() { Value::from(value) } else { not_finite(value) }
}

/// JSON has no number for it.
fn not_finite(value: f64) -> Value {
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Value::from(text)
}
