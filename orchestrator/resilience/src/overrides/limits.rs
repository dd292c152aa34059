//! Limits as people give them.

use saga_guards::rate::CallRate;
use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// The largest bulkhead: more calls at once than one process has connections for.
const MAX_BULKHEAD: u32 = 100_000;
/// The fastest rate: more calls a second than one engine makes.
const MAX_CALLS_PER_SECOND: u32 = 1_000_000;

/// Limits that an operator sets; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManualLimits {
    /// The share of the participant's capacity that is used, above 0 and at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "double")]
    pub share: Option<f64>,
    /// Calls that may be under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<NonZeroU32>,
    /// Maximum rate of calls, such as `100/s`; `None`: not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<ManualRate>,
}

/// A number within a type that serde buffers: it keeps its digits there, in a form that only a JSON number reads.
fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number.and_then(|number| number.as_f64()))
}

/// Limits that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManualLimitsError {
    /// The act sets no share, no bulkhead and no rate.
    #[error("nothing is set: give `share`, `bulkhead` or `rate`")]
    Nothing,
    /// The share is not above 0 and at most 1.
    #[error("`share` must be above 0 and at most 1; to let no call through, open the guard")]
    Share,
    /// The bulkhead is above `MAX_BULKHEAD`.
    #[error("`bulkhead` must be at most {MAX_BULKHEAD}")]
    Bulkhead,
    /// The text is not a rate, or the rate is too high.
    #[error("`{0}` is not a rate: write 100/s, 600/m or 1000/h, at most {MAX_CALLS_PER_SECOND} calls a second")]
    Rate(String),
}

impl ManualLimits {
    /// Whether something is given, and can be.
    ///
    /// # Errors
    /// What cannot.
    pub fn check(&self) -> Result<(), ManualLimitsError> {
        if *self == ManualLimits::default() {
            return Err(ManualLimitsError::Nothing);
        }
        if self.share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
            return Err(ManualLimitsError::Share);
        }
        if self.bulkhead.is_some_and(|places| places.get() > MAX_BULKHEAD) {
            return Err(ManualLimitsError::Bulkhead);
        }
        Ok(())
    }
}

/// So many calls a second, a minute or an hour: `100/s`, `600/m`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManualRate {
    calls: NonZeroU32,
    per: RateUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RateUnit {
    Second,
    Minute,
    Hour,
}

impl RateUnit {
    fn seconds(self) -> u32 {
        match self {
            RateUnit::Second => 1,
            RateUnit::Minute => 60,
            RateUnit::Hour => 3_600,
        }
    }
}

impl ManualRate {
    /// The rate that it stands for. After a pause the calls of one second may come at once, so that what came within
    /// one may leave within one.
    #[must_use]
    pub fn rate(self) -> CallRate {
        let burst = self.calls.get().div_ceil(self.per.seconds());
        CallRate {
            calls: self.calls,
            per: Duration::from_secs(self.per.seconds().into()),
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
        }
    }
}

impl FromStr for ManualRate {
    type Err = ManualLimitsError;

    fn from_str(text: &str) -> Result<ManualRate, ManualLimitsError> {
        let not = || ManualLimitsError::Rate(text.to_owned());
        let (calls, unit) = text.split_once('/').ok_or_else(not)?;
        let per = match unit.trim() {
            "s" => RateUnit::Second,
            "m" => RateUnit::Minute,
            "h" => RateUnit::Hour,
            _ => return Err(not()),
        };
        let calls: NonZeroU32 = calls.trim().parse().map_err(|_| not())?;
        if calls.get().div_ceil(per.seconds()) > MAX_CALLS_PER_SECOND {
            return Err(not());
        }
        Ok(ManualRate { calls, per })
    }
}

impl fmt::Display for ManualRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            RateUnit::Second => "s",
            RateUnit::Minute => "m",
            RateUnit::Hour => "h",
        };
        write!(f, "{}/{unit}", self.calls)
    }
}

impl TryFrom<String> for ManualRate {
    type Error = ManualLimitsError;

    fn try_from(text: String) -> Result<ManualRate, ManualLimitsError> {
        text.parse()
    }
}

impl From<ManualRate> for String {
    fn from(rate: ManualRate) -> String {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_calls_in_a_span() {
        let rate = |text: &str| text.parse::<ManualRate>().map(ManualRate::rate);
        let of = |calls, seconds, burst| CallRate {
            calls: NonZeroU32::new(calls).expect("not zero"),
            per: Duration::from_secs(seconds),
            burst: NonZeroU32::new(burst).expect("not zero"),
        };
        assert_eq!(rate("50/s"), Ok(of(50, 1, 50)));
        assert_eq!(rate("600/m"), Ok(of(600, 60, 10)));
        assert_eq!(rate("10/h"), Ok(of(10, 3_600, 1)));
        for bad in ["", "50", "0/s", "-1/s", "50/d", "1.5/s", "9999999/s"] {
            assert_eq!(rate(bad), Err(ManualLimitsError::Rate(bad.into())));
        }
        assert_eq!("600/m".parse::<ManualRate>().map(|it| it.to_string()), Ok("600/m".into()));
    }

    #[test]
    fn limits_that_nobody_can_want_are_refused() {
        let share = |share| ManualLimits { share: Some(share), ..ManualLimits::default() }.check();
        assert_eq!((share(1.0), share(0.01)), (Ok(()), Ok(())));
        for bad in [0.0, -1.0, 1.01, f64::NAN, f64::INFINITY] {
            assert_eq!(share(bad), Err(ManualLimitsError::Share), "{bad}");
        }
        assert_eq!(ManualLimits::default().check(), Err(ManualLimitsError::Nothing));
        let bulkhead = ManualLimits { bulkhead: NonZeroU32::new(MAX_BULKHEAD + 1), ..ManualLimits::default() };
        assert_eq!(bulkhead.check(), Err(ManualLimitsError::Bulkhead));
    }
}
