//! `bartizan access`.

use bartizan_model::api::{AccessAnswer, AccessQuestion};

use super::Context;
use crate::args::Access;
use crate::failure::{Failure, Kind};

pub(crate) async fn run(context: &Context, command: Access) -> Result<(), Failure> {
    let Access::Check { person, destination, action, source, file, to } = command;
    let (login, target) = (destination.login, destination.target);
    let question = AccessQuestion { person, login, target, action, source, file, to };
    let answer: AccessAnswer = context.client.post("/v1/access/check", &question).await?;
    if context.out.json {
        context.out.value(&answer)?;
    }
    if !answer.permitted {
        return Err(Failure::new(Kind::Denied, format!("denied: {}{}", answer.reason, rules(&answer))));
    }
    match context.out.json {
        true => Ok(()),
        false => {
            context.out.line(&format!("permitted: {}{}", crate::out::cell(&answer.reason), rules(&answer)))
        }
    }
}

fn rules(answer: &AccessAnswer) -> String {
    let rules: Vec<_> = answer.rules.iter().map(|rule| crate::out::cell(&rule.0)).collect();
    if rules.is_empty() { String::new() } else { format!(" (rule {})", rules.join(", ")) }
}
