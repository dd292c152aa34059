//! Avro's logical types, by the type that carries them.

/// What an `int` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntMeaning {
    Plain,
    Date,
    TimeMillis,
}

/// What a `long` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongMeaning {
    Plain,
    TimeMicros,
    Timestamp(TimeUnit),
    LocalTimestamp(TimeUnit),
}

/// Of what a timestamp is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Millis,
    Micros,
    Nanos,
}

/// What `bytes` or a `fixed` stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BytesMeaning {
    Plain,
    Decimal { precision: usize, scale: usize },
    BigDecimal,
    Uuid,
    Duration,
}

/// What a `string` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextMeaning {
    Plain,
    Uuid,
}

impl IntMeaning {
    pub(crate) fn word(self) -> &'static str {
        match self {
            IntMeaning::Plain => "int",
            IntMeaning::Date => "date",
            IntMeaning::TimeMillis => "time-millis",
        }
    }
}

impl LongMeaning {
    pub(crate) fn word(self) -> &'static str {
        match self {
            LongMeaning::Plain => "long",
            LongMeaning::TimeMicros => "time-micros",
            LongMeaning::Timestamp(TimeUnit::Millis) => "timestamp-millis",
            LongMeaning::Timestamp(TimeUnit::Micros) => "timestamp-micros",
            LongMeaning::Timestamp(TimeUnit::Nanos) => "timestamp-nanos",
            LongMeaning::LocalTimestamp(TimeUnit::Millis) => "local-timestamp-millis",
            LongMeaning::LocalTimestamp(TimeUnit::Micros) => "local-timestamp-micros",
            LongMeaning::LocalTimestamp(TimeUnit::Nanos) => "local-timestamp-nanos",
        }
    }
}

impl BytesMeaning {
    pub(crate) fn word(self) -> &'static str {
        match self {
            BytesMeaning::Plain => "bytes",
            BytesMeaning::Decimal { .. } => "decimal",
            BytesMeaning::BigDecimal => "big-decimal",
            BytesMeaning::Uuid => "uuid",
            BytesMeaning::Duration => "duration",
        }
    }
}
