//! One request and its answer.

mod complete_response;
mod redirects;

use super::{
    ADDRESS_REFUSED, HttpParticipantClient, NOT_CONNECTED,
    client::{ConnectFailure, HttpExchangeError, HttpResponse, OutboundRequest},
    retry_after,
};
use crate::transport::ParticipantCall;
use complete_response::CompleteResponse;
use saga_core::command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin, RetryAdvice};
use url::Url;

/// How an answer was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponseOrigin {
    /// The place that the engine asked answered.
    Directly,
    /// The place that the engine asked redirected to another one, which answered.
    Redirected,
}

/// An answer whose head was read.
struct ResponseHead {
    response: HttpResponse,
    /// URL that answered, after redirects.
    url: Url,
    reached: ResponseOrigin,
}

/// Sends `request` and reads the complete answer to it.
pub(super) async fn exchange(
    participant: &HttpParticipantClient,
    call: &ParticipantCall,
    request: OutboundRequest,
) -> CommandAnswer {
    let head = match participant.client.send(&request, participant.pace).await {
        Err(missed) => Err(not_answered(call, missed)),
        Ok(response) if call.location.is_some() => redirects::followed(participant, call, request, response).await,
        Ok(response) => Ok(ResponseHead { response, url: request.url, reached: ResponseOrigin::Directly }),
    };
    match head {
        Ok(head) => judged(participant, call, head).await,
        Err(answer) => participant.overrides.classes().applied(answer),
    }
}

/// Without a connection nothing was sent. Of a call that may have left before that says nothing.
fn not_answered(call: &ParticipantCall, missed: HttpExchangeError) -> CommandAnswer {
    match missed {
        HttpExchangeError::NotConnected { why, may_have_left } => {
            let (failure, retry) = match why {
                ConnectFailure::Unreachable(why) => (lost(NOT_CONNECTED, why), RetryAdvice::Yes),
                // What this engine is configured to must not undo every saga.
                ConnectFailure::Refused(refused) => (lost(ADDRESS_REFUSED, refused.to_string()), RetryAdvice::ThenPark),
            };
            if call.was_never_sent() && !may_have_left {
                CommandAnswer::Failed { failure, retry, retry_after: None }
            } else {
                CommandAnswer::unknown(failure)
            }
        }
        HttpExchangeError::Late(late) => late.answer(),
        HttpExchangeError::Broken(why) => CommandAnswer::unknown(lost("connection", why)),
        HttpExchangeError::NotHttp(why) => unreadable("answer.http", why),
    }
}

fn lost(code: &str, why: String) -> CommandFailure {
    CommandFailure::new(code, why).of_origin(FailureOrigin::Transport).of_class(ErrorClass::Network)
}

/// A failure that was read from an answer is the participant's, with the status of that answer; one on the way stays
/// one of the way.
fn answered_with(status: u16, mut answer: CommandAnswer) -> CommandAnswer {
    match &mut answer {
        CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. } => match failure.origin {
            FailureOrigin::Engine | FailureOrigin::Participant { .. } => failure.origin = FailureOrigin::answer(status),
            FailureOrigin::Transport | FailureOrigin::Broker => {}
        },
        CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => {}
    }
    answer
}

/// What it means, in the classes of the participant. What `retryOn` and `failOn` say of a status wins over how its
/// class is handled.
async fn judged(participant: &HttpParticipantClient, call: &ParticipantCall, head: ResponseHead) -> CommandAnswer {
    let status = head.response.status().as_u16();
    let answer = if call.location.is_none() && head.response.was_sent_before() {
        of_the_second(CompleteResponse::read(participant, &call.clone().repeated(), head).await.into_answer())
    } else {
        CompleteResponse::read(participant, call, head).await.into_answer()
    };
    let answer = answered_with(status, answer);
    let classes = participant.overrides.classes();
    let judged = if participant.overrides.move_status(call, status) {
        classes.classified(answer)
    } else if call.was_never_sent() {
        classes.applied(answer)
    } else {
        classes.applied_to_repeated(answer)
    };
    retry_after::where_it_counts(status, judged)
}

/// What the answer says to a request that had left before within the attempt: a success or a permanent refusal is the
/// participant's answer to the command, whichever sending it answers. Everything else says nothing of the first
/// sending, which may have had its effect.
fn of_the_second(answer: CommandAnswer) -> CommandAnswer {
    match answer {
        CommandAnswer::Failed {
            failure,
            retry: retry @ (RetryAdvice::Yes | RetryAdvice::Conflict | RetryAdvice::ThenPark | RetryAdvice::Park),
            retry_after,
        } => {
            let message = format!("{} (sent twice: the first connection closed without an answer)", failure.message);
            CommandAnswer::Unknown { failure: CommandFailure { message, ..failure }, retry, retry_after }
        }
        CommandAnswer::Failed { retry: RetryAdvice::No, .. }
        | CommandAnswer::Succeeded { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => answer,
    }
}

fn unreadable(code: &str, message: impl Into<String>) -> CommandAnswer {
    let failure = CommandFailure::new(code, message).of_origin(FailureOrigin::REPLY);
    CommandAnswer::unknown(failure.of_class(ErrorClass::Unknown))
}
