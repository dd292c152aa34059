//! Replies in the classes of their participant. A reply names a command only, so this is the first place that knows
//! whom it is from.

use saga_core::{
    command::{CommandAnswer, CommandRequest},
    definition::ParticipantCatalog,
    input::SagaInput,
    state::SagaState,
};
use saga_resilience::transport::ErrorClassifier;

/// `input` with the class and the handling that the participant's file gives to what it answers. Answers over HTTP came
/// by the client, which knows statuses too.
pub(crate) fn classified(participants: &ParticipantCatalog, state: &SagaState, input: SagaInput) -> SagaInput {
    match input {
        SagaInput::Answered { command, attempt, answer } => {
            let it = state.command(command);
            let left_before = it.inherited >= attempt.unwrap_or(it.attempt);
            let answer = replied(participants, it.request.as_deref(), answer, left_before);
            SagaInput::Answered { command, attempt, answer }
        }
        SagaInput::Delivered { .. }
        | SagaInput::KeyTaken { .. }
        | SagaInput::Released { .. }
        | SagaInput::Operator(_)
        | SagaInput::Mended { .. }
        | SagaInput::TimeReached => input,
    }
}

/// `left_before`: an earlier owner sent the attempt, too.
fn replied(
    participants: &ParticipantCatalog,
    request: Option<&CommandRequest>,
    answer: CommandAnswer,
    left_before: bool,
) -> CommandAnswer {
    let Some(CommandRequest::Kafka { participant, .. }) = request else { return answer };
    let Some(said) = participants.get(participant) else { return answer };
    let classes = ErrorClassifier::of(said);
    if left_before { classes.applied_to_repeated(answer) } else { classes.applied(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{
        command::{CommandFailure, ErrorClass, RetryAdvice},
        definition::participants::parse,
    };
    use serde_json::json;

    const FILE: &str = "
participants:
  stock:
    kafka: {commands: stock}
    errors: {classify: {DB_DOWN: server_error}, handle: {server_error: retry, client_error: retry-then-park}}
";

    fn failed(code: &str, class: ErrorClass, retry: RetryAdvice) -> CommandAnswer {
        CommandAnswer::Failed { failure: CommandFailure::new(code, "").of_class(class), retry, retry_after: None }
    }

    #[test]
    fn a_reply_is_handled_as_its_participant_s_file_says() {
        let participants = parse("participants.yaml", FILE, &|_| None).expect("a file without errors");
        let ask = |participant: &str, answer| {
            let request =
                CommandRequest::Kafka { participant: participant.into(), command: "Reserve".into(), body: json!({}) };
            replied(&participants, Some(&request), answer, false)
        };
        let down = |class, retry| failed("DB_DOWN", class, retry);
        assert_eq!(
            ask("stock", down(ErrorClass::ClientError, RetryAdvice::No)),
            down(ErrorClass::ServerError, RetryAdvice::Yes)
        );
        let sold_out = |retry| failed("SOLD_OUT", ErrorClass::ClientError, retry);
        assert_eq!(ask("stock", sold_out(RetryAdvice::No)), sold_out(RetryAdvice::ThenPark));
        assert_eq!(ask("somebody-else", sold_out(RetryAdvice::No)), sold_out(RetryAdvice::No));
    }

    #[test]
    fn what_an_earlier_owner_sent_is_not_certain_because_its_class_is_not_retried() {
        let file = FILE.replace("{server_error: retry, client_error: retry-then-park}", "{unknown: fail}");
        let participants = parse("participants.yaml", &file, &|_| None).expect("a file without errors");
        let request = CommandRequest::Kafka { participant: "stock".into(), command: "Reserve".into(), body: json!({}) };
        let busy = |retry| failed("BUSY", ErrorClass::Unknown, retry);
        let said = |left_before, retry| replied(&participants, Some(&request), busy(retry), left_before);
        assert_eq!(said(false, RetryAdvice::Yes), busy(RetryAdvice::No));
        assert_eq!(said(true, RetryAdvice::No), busy(RetryAdvice::No), "it said so for good");
        let CommandAnswer::Unknown { retry, .. } = said(true, RetryAdvice::Yes) else {
            panic!("the first sending may run")
        };
        assert_eq!(retry, RetryAdvice::No);
    }
}
