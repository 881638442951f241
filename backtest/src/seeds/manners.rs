//! How our process behaves towards the exchange, seen at its door: what was refused for asking too much, and what was
//! asked although silence had been demanded.
//!
//! Watches one life of the process; changes nothing.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::rest::RestReply;

/// What was seen at the door.
#[derive(Debug, Default)]
pub struct Manners {
    /// Requests that were refused with 429 or 418, over REST or on a socket.
    pub refused: u64,
    /// Requests that were refused because their time was not the exchange's.
    pub untimely: u64,
    /// From when on our process knows that it must be silent, and until when; each time that it was told.
    silences: Vec<(Nanos, Nanos)>,
    /// The first rule that was broken, in words.
    broken: Option<String>,
}

impl Manners {
    /// The exchange answered a call with this status.
    pub fn answered(&mut self, status: u16, body: &[u8]) {
        self.refused += u64::from(is_limit(status));
        let refusal = std::str::from_utf8(body).is_ok_and(|text| text.contains(UNTIMELY));
        self.untimely += u64::from(status == BAD_REQUEST && refusal);
    }

    /// Our process is handed an answer.
    pub fn told(&mut self, now: Nanos, reply: &RestReply) {
        if let Some(until) = reply.usage.blocked_until.filter(|_| is_limit(reply.status)) {
            self.keep_silent(now, until);
        }
    }

    /// The exchange writes a frame to our process; it has left then.
    pub fn frame_out(&mut self, leaves_at: Nanos, text: &str) {
        self.untimely += u64::from(text.contains(UNTIMELY));
        let status = [",\"status\":429,", ",\"status\":418,"];
        if !status.into_iter().any(|words| text.contains(words)) {
            return;
        }
        self.refused += 1;
        // Where only orders are too many, cancels still go.
        if text.contains(TOO_MANY_ORDERS) {
            return;
        }
        let until = text.split("\"retryAfter\":").nth(1).and_then(|rest| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        if let Some(until) = until {
            self.keep_silent(leaves_at, Nanos::from_millis(until));
        }
    }

    /// Our process asks for something.
    pub fn asks(&mut self, now: Nanos, what: &str) {
        // What left before the answer was heard is no offence.
        let knows = |(since, until): &(Nanos, Nanos)| *since + GRACE < now && now < *until;
        self.silences.retain(|(_, until)| now < *until);
        if let Some((since, until)) = self.silences.iter().copied().find(knows) {
            let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
            let (asked, left) = (seconds(now.since(since)), seconds(until.since(now)));
            let text = format!("I12: {what} asked for {asked:.3} s after silence was demanded for {left:.3} s more");
            self.broken.get_or_insert(text);
        }
    }

    /// The first rule that was broken.
    ///
    /// # Errors
    /// That rule, in words.
    pub fn check(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn keep_silent(&mut self, told: Nanos, until: Nanos) {
        // Who is silent already when it is told has no grace.
        let silent = self.silences.iter().filter(|(since, until)| *since <= told && told < *until);
        let since = silent.map(|(since, _)| *since).min().unwrap_or(told);
        self.silences.push((since, until));
    }
}

const fn is_limit(status: u16) -> bool {
    matches!(status, 429 | 418)
}

/// What is on its way when silence is demanded has arrived after this: pieces of frames, turns that are skipped.
const GRACE: Duration = Duration::from_secs(1);
/// HTTP status of what is refused for what it says.
const BAD_REQUEST: u16 = 400;
/// What a request is refused with whose time is not the exchange's.
const UNTIMELY: &str = "\"code\":-1021,";
/// The code that only new orders are refused with.
const TOO_MANY_ORDERS: &str = "\"code\":-1015";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_while_banned_is_noticed_and_who_had_asked_already_is_not() {
        let at = Nanos::from_millis;
        let mut manners = Manners::default();
        manners.frame_out(
            at(1_000),
            r#"{"id":1,"status":418,"error":{"code":-1003,"data":{"serverTime":1,"retryAfter":9000}}}"#,
        );
        manners.asks(at(1_900), "order.place");
        assert_eq!((manners.check(), manners.refused), (Ok(()), 1));
        manners.answered(400, br#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#);
        manners.frame_out(at(2_000), r#"{"id":2,"status":400,"error":{"code":-1021,"msg":"Timestamp"}}"#);
        assert_eq!((manners.untimely, manners.refused), (2, 1));
        manners.asks(at(5_000), "order.place");
        assert!(manners.check().unwrap_err().starts_with("I12: order.place"));
        let mut patient = Manners::default();
        let demand = |until: u64| format!(r#"{{"id":1,"status":429,"error":{{"data":{{"retryAfter":{until}}}}}}}"#);
        patient.frame_out(at(1_000), &demand(3_000));
        // One that is still on its way changes nothing about what is known, and one that ends earlier ends nothing.
        patient.frame_out(at(5_000), &demand(9_000));
        patient.frame_out(at(2_000), &demand(2_500));
        [3_000, 5_500, 9_000].into_iter().for_each(|millis| patient.asks(at(millis), "order.place"));
        assert_eq!(patient.check(), Ok(()));
        patient.frame_out(at(10_000), &demand(12_000));
        patient.frame_out(at(11_900), &demand(15_000));
        patient.asks(at(12_500), "order.place");
        assert!(patient.check().is_err(), "who is silent already has no grace");
    }
}
