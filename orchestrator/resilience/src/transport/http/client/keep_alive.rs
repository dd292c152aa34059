//! `Keep-Alive: timeout=5`: how long the server keeps an idle connection.

use hyper::header::{HeaderMap, HeaderName};
use std::time::Duration;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// We stop before the server does: what left just before its time is still under way when that comes.
const BEFORE: Duration = Duration::from_secs(1);

/// How long an idle connection may be kept, by what the server says; `None`: it says nothing that can be read. Of
/// several the shortest.
pub(super) fn announced(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(KEEP_ALIVE).iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).filter_map(timeout).min()?;
    let kept = Duration::from_secs(seconds);
    // Of a second there is nothing to take a second off.
    Some(kept.saturating_sub(BEFORE).max(if seconds == 1 { BEFORE / 4 } else { Duration::ZERO }))
}

fn timeout(parameter: &str) -> Option<u64> {
    let (name, value) = parameter.split_once('=')?;
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("timeout").then(|| value.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_given_up_before_the_server_does() {
        let check = |values: &[&str], millis: Option<u64>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEEP_ALIVE, value.parse().expect("a value"));
            }
            assert_eq!(announced(&headers), millis.map(Duration::from_millis), "{values:?}");
        };
        check(&["timeout=5"], Some(4_000));
        check(&["timeout=5, max=100"], Some(4_000));
        check(&["max=100,Timeout = \"60\""], Some(59_000));
        check(&["timeout=2"], Some(1_000));
        check(&["timeout=1"], Some(250));
        check(&["timeout=0"], Some(0));
        check(&["timeout=75", "timeout=5"], Some(4_000));
        check(&[], None);
        check(&["max=5"], None);
        check(&["timeout=-1"], None);
        check(&["timeout=soon"], None);
        check(&["115"], None);
    }
}
