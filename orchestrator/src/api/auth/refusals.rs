//! Refused logins: all are counted, and so many of them are logged that whoever reaches the port cannot fill the log.

use super::super::context::RequestContext;
use crate::login::LoginRefusal;
use saga_base::sync::UnpoisonedMutex;
use std::time::{Duration, Instant};
use tracing::info;

/// Lines in a second: a person who mistypes a token is among them, an attack is not written whole.
const LINES: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// What was logged in the second that began last.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(UnpoisonedMutex<Option<(Instant, u32)>>);

impl RefusalLog {
    /// The class, and nothing that the sender wrote but a plain name of a key.
    pub(super) fn note(&self, refused: &LoginRefusal, context: &RequestContext) {
        let (class, kid) = (refused.class, refused.kid.as_deref().unwrap_or_default());
        metrics::counter!("saga_login_refusals_total", "class" => class).increment(1);
        if self.has_room(Instant::now()) {
            let (peer, request_id) = (context.peer_shown(), &context.request_id);
            info!(class, kid, peer, %request_id, "a login to the API was refused");
        }
    }

    fn has_room(&self, now: Instant) -> bool {
        let mut logged = self.0.lock();
        let (begun, lines) = logged.filter(|(begun, _)| now.duration_since(*begun) < SECOND).unwrap_or((now, 0));
        *logged = Some((begun, lines + 1));
        lines < LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines() {
        let (log, now) = (RefusalLog::default(), Instant::now());
        assert_eq!((0..100).filter(|_| log.has_room(now)).count(), LINES as usize);
        assert!(log.has_room(now + SECOND), "another second");
    }
}
