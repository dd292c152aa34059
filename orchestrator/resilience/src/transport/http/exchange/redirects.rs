//! Places that are asked how far a command is, and that redirect to another one: where the result is, or where the
//! state of the command can be read from now on.

use super::{ResponseHead, ResponseOrigin, complete_response, not_answered, unreadable};
use crate::transport::{
    ParticipantCall,
    http::{
        HttpParticipantClient,
        client::{HttpResponse, OutboundRequest},
        response_body,
        single_header::ParsedHeader,
    },
};
use hyper::header::LOCATION;
use saga_core::command::CommandAnswer;

/// How often one may be sent on: to a path without its slash, to where results are, to the result.
const MAX_HOPS: u32 = 5;

/// The answer of the place that `response` sends on to, or `response` itself. To ask has no effects, so it is asked
/// there at once.
pub(super) async fn followed(
    participant: &HttpParticipantClient,
    call: &ParticipantCall,
    mut request: OutboundRequest,
    mut response: HttpResponse,
) -> Result<ResponseHead, CommandAnswer> {
    let mut reached = ResponseOrigin::Directly;
    for _ in 0..MAX_HOPS {
        if !sends_on(&response) {
            return Ok(ResponseHead { response, url: request.url, reached });
        }
        let place = ParsedHeader::by(&response, &LOCATION);
        let place = complete_response::read_place(place)
            .and_then(|place| participant.endpoints.resolve_location(&request.url, &place));
        request.url = place.map_err(|why| unreadable("answer.location", format!("sent on, and {why}")))?;
        reached = ResponseOrigin::Redirected;
        // So that its connection can be kept.
        drop(response_body::read(response, participant.max_answer_bytes, participant.pace.read).await);
        let sent = participant.client.send(&request, participant.pace).await;
        response = sent.map_err(|missed| not_answered(call, missed))?;
    }
    Err(unreadable("answer.redirect", format!("the place to ask sent on more than {MAX_HOPS} times")))
}

fn sends_on(response: &HttpResponse) -> bool {
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) && response.headers().contains_key(LOCATION)
}
