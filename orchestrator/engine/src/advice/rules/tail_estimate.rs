//! How long the slowest answers take that nobody waited for.

use std::time::Duration;

/// The time that all but a share `unanswered` of the answers would take, as a log-normal distribution says that goes
/// through the median and through the timeout, at which a share `cut` was still out (the probability plot of a sample
/// that is cut off, "type I censored"). `None`: the two points say nothing.
pub(super) fn answered_by(median: Duration, timeout: Duration, cut: f64, unanswered: f64) -> Option<Duration> {
    let reach = normal_quantile(1.0 - cut)?;
    let spread = (timeout.as_secs_f64() / median.as_secs_f64()).ln() / reach;
    let estimate = median.as_secs_f64() * (spread * normal_quantile(1.0 - unanswered)?).exp();
    (reach > 0.0 && spread > 0.0).then(|| Duration::try_from_secs_f64(estimate).ok())?
}

/// The quantile of the normal distribution, by Hastings' approximation (26.2.23 in "Handbook of Mathematical
/// Functions", Abramowitz and Stegun, 1964), whose error is below 4.5e-4.
fn normal_quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let t = (-2.0 * p.min(1.0 - p).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let distance = t - above / below;
    Some(if p < 0.5 { -distance } else { distance })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_of_the_normal_distribution_are_those_of_tables() {
        for (p, expected) in [(0.5, 0.0), (0.975, 1.959_96), (0.999, 3.090_23), (0.1, -1.281_55)] {
            let found = normal_quantile(p).expect("a quantile");
            assert!((found - expected).abs() < 5e-4, "{p}: {found}");
        }
        assert_eq!([normal_quantile(0.0), normal_quantile(1.0), normal_quantile(f64::NAN)], [None; 3]);
    }

    #[test]
    fn a_tail_is_continued_beyond_the_timeout() {
        // Log-normal with median 100 ms and spread 1: 2.3 % take longer than 739 ms, one in a thousand than 2.2 s.
        let ms = Duration::from_millis;
        let estimate = answered_by(ms(100), ms(739), 0.022_75, 0.001).expect("an estimate");
        assert!((2_100..2_300).contains(&estimate.as_millis()), "{estimate:?}");
        assert_eq!(answered_by(ms(100), ms(90), 0.02, 0.001), None, "the median is beyond the timeout");
        assert_eq!(answered_by(ms(100), ms(900), 0.6, 0.001), None, "most were cut off");
    }
}
