//! One request and its answer.

mod answered;
mod polled;

use super::{
    HttpParticipant, NOT_CONNECTED,
    client::{Missed, Outbound, Response},
    retry_after,
};
use crate::transport::Call;
use answered::Answered;
use saga_core::command::{Answer, ErrorClass, Failure, Retryable};
use url::Url;

/// How an answer was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// It is that of who was asked.
    Directly,
    /// Who was asked sent on to another place.
    SentOn,
}

/// An answer whose head was read.
struct Head {
    response: Response,
    /// Where it is from.
    url: Url,
    reached: Reached,
}

/// Sends `request` and reads the complete answer to it.
pub(super) async fn exchange(participant: &HttpParticipant, call: &Call, request: Outbound) -> Answer {
    let head = match participant.client.send(&request, participant.pace).await {
        Err(missed) => Err(not_answered(call, missed)),
        Ok(response) if call.location.is_some() => polled::followed(participant, call, request, response).await,
        Ok(response) => Ok(Head { response, url: request.url, reached: Reached::Directly }),
    };
    match head {
        Ok(head) => judged(participant, call, head).await,
        Err(answer) => participant.overrides.classes().applied(answer),
    }
}

/// Without a connection nothing was sent. Of a call that may have left before that says nothing.
fn not_answered(call: &Call, missed: Missed) -> Answer {
    match missed {
        Missed::NotConnected { why, may_have_left } => {
            let failure = Failure::new(NOT_CONNECTED, why).of_class(ErrorClass::Network);
            if call.is_untouched() && !may_have_left {
                Answer::Failed { failure, retry: Retryable::Yes, retry_after: None }
            } else {
                Answer::unknown(failure)
            }
        }
        Missed::Late(late) => late.answer(),
        Missed::Broken(why) => Answer::unknown(Failure::new("connection", why).of_class(ErrorClass::Network)),
        Missed::NotHttp(why) => unreadable("answer.http", why),
    }
}

/// What it means, in the classes of the participant. What `retryOn` and `failOn` say of a status wins over how its class is handled.
async fn judged(participant: &HttpParticipant, call: &Call, head: Head) -> Answer {
    let status = head.response.status().as_u16();
    let answer = if call.location.is_none() && head.response.was_sent_before() {
        of_the_second(Answered::read(participant, &call.clone().repeated(), head).await.meaning())
    } else {
        Answered::read(participant, call, head).await.meaning()
    };
    let classes = participant.overrides.classes();
    let judged = if participant.overrides.move_status(call, status) {
        classes.classified(answer)
    } else if call.is_untouched() {
        classes.applied(answer)
    } else {
        classes.applied_to_repeated(answer)
    };
    retry_after::where_it_counts(status, judged)
}

/// What the answer says to a request that had left before within the attempt: a success or a refusal for good is the participant's answer to the
/// command, whichever sending it answers. Everything else says nothing of the first sending, which may have had its effect.
fn of_the_second(answer: Answer) -> Answer {
    match answer {
        Answer::Failed {
            failure,
            retry: retry @ (Retryable::Yes | Retryable::Conflict | Retryable::ThenPark),
            retry_after,
        } => {
            let message = format!("{} (sent twice: the first connection closed without an answer)", failure.message);
            Answer::Unknown { failure: Failure { message, ..failure }, retry, retry_after }
        }
        Answer::Failed { retry: Retryable::No, .. }
        | Answer::Succeeded { .. }
        | Answer::Unknown { .. }
        | Answer::Ongoing { .. }
        | Answer::NotSent { .. } => answer,
    }
}

fn unreadable(code: &str, message: impl Into<String>) -> Answer {
    Answer::unknown(Failure::new(code, message).of_class(ErrorClass::Unknown))
}
