//! Replies in the classes of their participant. A reply names a command only, so this is the first place that knows whom it is from.

use crate::participants::Classes;
use saga_core::{
    command::{Answer, Request},
    definition::Participants,
    input::Input,
    state::State,
};

/// `input` with the class and the handling that the participant's file gives to what it answers. Answers over HTTP came by the client, which
/// knows statuses too.
pub(super) fn classified(participants: &Participants, state: &State, input: Input) -> Input {
    match input {
        Input::Answered { command, attempt, answer } => {
            let answer = replied(participants, state.command(command).request.as_deref(), answer);
            Input::Answered { command, attempt, answer }
        }
        Input::Delivered { .. }
        | Input::KeyTaken { .. }
        | Input::Released { .. }
        | Input::Operator(_)
        | Input::Mended { .. }
        | Input::TimeReached => input,
    }
}

fn replied(participants: &Participants, request: Option<&Request>, answer: Answer) -> Answer {
    match request {
        Some(Request::Kafka { participant, .. }) => match participants.get(participant) {
            Some(said) if !said.classes.is_empty() || !said.handling.is_empty() => Classes::of(said).applied(answer),
            Some(_) | None => answer,
        },
        Some(Request::Http { .. } | Request::Publish { .. }) | None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{
        command::{ErrorClass, Failure, Retryable},
        definition::participants::parse,
    };
    use serde_json::json;

    const FILE: &str = "
participants:
  stock:
    kafka: {commands: stock}
    errors: {classify: {DB_DOWN: server_error}, handle: {server_error: retry, client_error: retry-then-park}}
";

    fn failed(code: &str, class: ErrorClass, retry: Retryable) -> Answer {
        Answer::Failed { failure: Failure::new(code, "").of_class(class), retry, retry_after: None }
    }

    #[test]
    fn a_reply_is_handled_as_its_participant_s_file_says() {
        let participants = parse("participants.yaml", FILE, &|_| None).expect("a file without errors");
        let ask = |participant: &str, answer| {
            let request =
                Request::Kafka { participant: participant.into(), command: "Reserve".into(), body: json!({}) };
            replied(&participants, Some(&request), answer)
        };
        let down = |class, retry| failed("DB_DOWN", class, retry);
        assert_eq!(
            ask("stock", down(ErrorClass::ClientError, Retryable::No)),
            down(ErrorClass::ServerError, Retryable::Yes)
        );
        let sold_out = |retry| failed("SOLD_OUT", ErrorClass::ClientError, retry);
        assert_eq!(ask("stock", sold_out(Retryable::No)), sold_out(Retryable::ThenPark));
        assert_eq!(ask("somebody-else", sold_out(Retryable::No)), sold_out(Retryable::No));
    }
}
