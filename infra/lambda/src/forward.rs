//! The way of a directive through this function, from end to end.
//!
//! 1. Lambda's runtime API hands over a directive, and says until when it waits.
//! 2. *Read* what an answer must repeat. What no backend could do anything with is refused here.
//! 3. *Ask* the skill backend: the directive as it came, with the time that is left.
//! 4. Its answer goes back as it came, if it is an event that answers this directive. If there is none in time, or another
//!    thing than that, an error event is made here.
//!
//! Whatever becomes of one directive, the next finds everything as this one did.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use crate::directive::{self, ReplyTo};
use crate::event::{self, Fault, Refusal};
use crate::log;
use crate::runtime::{Invocation, Runtime, RuntimeError};
use crate::skill::{Skill, wall_clock};

/// Alexa waits 8 s for all of it, ways through Lambda included; the skill backend takes 6.5 s at most.
pub const MOST_TIME: Duration = Duration::from_secs(7);

/// Lambda must have our answer this long before it gives up itself: Alexa would hear nothing of what is wrong.
pub const BEFORE_LAMBDA: Duration = Duration::from_millis(250);

/// Passes directives on.
#[derive(Debug)]
pub struct Forwarder {
    skill: Skill,
}

impl Forwarder {
    /// To this backend.
    #[must_use]
    pub const fn new(skill: Skill) -> Self {
        Self { skill }
    }

    /// Answer whatever Lambda gives, one after the other, until its runtime API cannot be used any more.
    pub async fn serve(&mut self, lambda: &mut Runtime) -> RuntimeError {
        loop {
            let invocation = match lambda.next().await {
                Ok(invocation) => invocation,
                Err(error) => return error,
            };
            let answer = self.answer(&invocation).await;
            if let Err(error) = lambda.respond(&invocation.id, answer).await {
                log::error(
                    "Lambda did not take an answer",
                    &json!({"cause": error.to_string(), "request_id": invocation.id}),
                );
                // If that is not taken either, whether there is a next one will show what is the matter.
                let _ = lambda.fail(&invocation.id, "Forwarder.AnswerNotTaken", "The answer was not taken.").await;
            }
        }
    }

    /// The event that answers what came.
    pub async fn answer(&mut self, invocation: &Invocation) -> Bytes {
        let arrived = Instant::now();
        let deadline = arrived + time_for(invocation.deadline, wall_clock());
        let read = match &invocation.event {
            Some(event) => directive::read(event).map(|reply_to| (event, reply_to)),
            None => Err((ReplyTo::default(), Refusal::TooLarge)),
        };
        let (directive, reply_to) = match read {
            Ok(read) => read,
            Err((reply_to, refusal)) => {
                log::warn(
                    "refused what is no directive for the skill",
                    &json!({"cause": refusal.label(), "request_id": invocation.id}),
                );
                return event::failed(&reply_to, refusal.error());
            }
        };
        let answer = match self.skill.ask(directive, deadline).await {
            Ok(answer) if event::answers(&reply_to, &answer) => Ok(answer),
            Ok(_) => Err(Fault::NotAnAnswer),
            Err(fault) => Err(fault),
        };
        answer.unwrap_or_else(|fault| {
            let mut fields = json!({
                "cause": fault.label(),
                "elapsed_ms": arrived.elapsed().as_millis() as u64,
                "request_id": invocation.id
            });
            if let Fault::Status { status, .. } = fault {
                fields["status"] = json!(status);
            }
            log::warn("the skill gave no answer, so Alexa is told that", &fields);
            event::failed(&reply_to, fault.error())
        })
    }
}

/// How long an answer may take, if Lambda gives up at `deadline` and it is `now`, both since 1970.
fn time_for(deadline: Option<Duration>, now: Duration) -> Duration {
    let left = deadline.map(|deadline| deadline.saturating_sub(now).saturating_sub(BEFORE_LAMBDA));
    left.map_or(MOST_TIME, |left| left.min(MOST_TIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_there_before_alexa_and_lambda_give_up() {
        let (now, seconds) = (Duration::from_secs(1_795_305_600), Duration::from_secs);
        assert_eq!(time_for(Some(now + seconds(8)), now), MOST_TIME);
        assert_eq!(time_for(Some(now + seconds(900)), now), MOST_TIME, "a function with more time than Alexa has");
        assert_eq!(time_for(Some(now + seconds(3)), now), Duration::from_millis(2750), "one with Lambda's default");
        assert_eq!(time_for(Some(now), now), Duration::ZERO);
        assert_eq!(time_for(Some(now - seconds(5)), now), Duration::ZERO);
        assert_eq!(time_for(None, now), MOST_TIME);
    }
}
