//! When operators' policies may answer otherwise although nobody changed anything: the times that they name.

use bartizan_model::Timestamp;
use cedar_policy::{Policy, PolicySet};
use serde_json::Value;

use super::FORWARD;

/// Where a policy makes something else of the time than to compare it with a number, it may answer otherwise after so long.
const PERIOD_SECONDS: u64 = 60;

/// The fact that is the time, and those that stay as they are while a session lives.
const NOW: &str = "now";
const CONSTANT: [&str; 4] = ["login", "source", "method", FORWARD];

/// The times at which some policies may answer otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// Unix seconds in order: a comparison may come out otherwise than the second before.
    changes: Vec<i64>,
    /// At any time.
    any: bool,
}

impl Times {
    /// The times that policies name.
    pub(crate) fn of(policies: &PolicySet) -> Self {
        let mut times = Self::default();
        for policy in policies.policies() {
            match conditions(policy) {
                Some(conditions) => times.read(&conditions),
                None => times.any = true,
            }
        }
        times.changes.sort_unstable();
        times.changes.dedup();
        times
    }

    /// The first of them after `now`.
    pub(crate) fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let seconds = now.unix_seconds();
        let passed =
            self.changes.partition_point(|&at| u64::try_from(at).is_ok_and(|at| at <= seconds) || at < 0);
        let named = self.changes.get(passed).and_then(|&at| u64::try_from(at).ok());
        let period = self.any.then(|| seconds.saturating_add(PERIOD_SECONDS));
        let first = named.into_iter().chain(period).min()?;
        Some(Timestamp::from_unix_micros(first.checked_mul(1_000_000)?))
    }

    /// Reads an expression, as Cedar's JSON has it.
    fn read(&mut self, expression: &Value) {
        match expression {
            Value::Array(all) => all.iter().for_each(|one| self.read(one)),
            Value::Object(fields) => {
                for (operator, operands) in fields {
                    self.read_operator(operator, operands);
                }
            }
            _ => {}
        }
    }

    fn read_operator(&mut self, operator: &str, operands: &Value) {
        let (left, right) = (&operands["left"], &operands["right"]);
        match operator {
            "==" | "!=" | "<" | "<=" | ">" | ">=" => match (fact(left), fact(right)) {
                (Some(NOW), _) if right["Value"].is_i64() => self.compares_with(&right["Value"]),
                (_, Some(NOW)) if left["Value"].is_i64() => self.compares_with(&left["Value"]),
                _ => self.read(operands),
            },
            "." | "has" if fact_of(operands).is_some_and(|fact| CONSTANT.contains(&fact)) => {}
            // Whatever is made of the facts as a whole, the time is one of them.
            "Var" => self.any |= operands == "context",
            _ => self.read(operands),
        }
    }

    /// Before, at, and after this second are three times.
    fn compares_with(&mut self, number: &Value) {
        let at = number.as_i64().unwrap_or_default();
        self.changes.extend([at, at.saturating_add(1)]);
    }
}

fn conditions(policy: &Policy) -> Option<Value> {
    Some(policy.to_json().ok()?.get_mut("conditions")?.take())
}

/// The name of the fact that an expression is.
fn fact(expression: &Value) -> Option<&str> {
    fact_of(&expression["."])
}

/// The name of the fact, where the operands of `.` or `has` are of one.
fn fact_of(operands: &Value) -> Option<&str> {
    operands["attr"].as_str().filter(|_| operands["left"]["Var"] == "context")
}
