//! Who asks the questions at start: again and again where waiting helps, and never where it does not.
//!
//! A lost or refused reply, a limit, a ban or a busy exchange is waited out: doubling, capped, jittered, never sooner than
//! the exchange allows, and only for so long in all. A clock that the exchange does not accept is measured again. What
//! a person must mend, such as a wrong key, is told at once. Blocks; runs on the control thread.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::rest::{Auth, Method, RestCall, RestReply};
use serde::de::DeserializeOwned;

use super::{TIME, answer, call, check};
use crate::binance::outcome::{Meaning, meaning};
use crate::binance::rest::RestClient;
use crate::binance::truth;
use crate::error::OmsError;
use crate::time::{ExchangeTime, TimeSample};

/// A failure that is waited out, for the person who watches.
#[derive(Debug)]
pub struct Wait<'a> {
    /// What went wrong.
    pub error: &'a OmsError,
    /// How long nothing is asked.
    pub span: Duration,
}

/// Asks until it is answered, told to stop, or out of patience.
pub struct Asker<'a, C: Clock> {
    client: &'a mut RestClient,
    clock: &'a C,
    time: &'a ExchangeTime,
    /// Waits; false when whoever waits was told to stop.
    pause: &'a mut dyn FnMut(&Wait<'_>) -> bool,
    random: fastrand::Rng,
    began: Nanos,
    patience: Duration,
}

impl<'a, C: Clock> Asker<'a, C> {
    /// Nothing asked yet; `patience` begins now and is one for all questions. The seed jitters the waits.
    pub fn new(
        client: &'a mut RestClient,
        clock: &'a C,
        time: &'a ExchangeTime,
        patience: Duration,
        seed: u64,
        pause: &'a mut dyn FnMut(&Wait<'_>) -> bool,
    ) -> Asker<'a, C> {
        let (began, random) = (clock.now(), fastrand::Rng::with_seed(seed));
        Asker { client, clock, time, pause, random, began, patience }
    }

    /// A good answer to `asked`.
    pub(super) fn ask(&mut self, asked: &RestCall) -> Result<RestReply, OmsError> {
        let (mut failures, mut clocks) = (0, 0);
        loop {
            let reply = self.client.perform(asked, self.clock);
            let Err(error) = check(asked.path, reply.status, &reply.body) else { return Ok(reply) };
            match remedy(&error) {
                Remedy::None => return Err(error),
                Remedy::Clock if clocks >= CLOCKS_MAX => return Err(error),
                Remedy::Clock => {
                    clocks += 1;
                    self.measure_clock()?;
                }
                Remedy::Time => {}
            }
            let span = self.span(failures, reply.usage.blocked_until);
            failures += 1;
            let spent = Duration::from_nanos(self.clock.now().since(self.began));
            if spent + span > self.patience {
                let (tries, wait) = (failures, reply.usage.blocked_until.map(|_| span));
                return Err(OmsError::OutOfPatience { error: Box::new(error), tries, spent, wait });
            }
            if !(self.pause)(&Wait { error: &error, span }) {
                return Err(OmsError::Interrupted { path: asked.path, error: Box::new(error) });
            }
        }
    }

    /// A good answer to a signed question.
    pub(super) fn get<T: DeserializeOwned>(
        &mut self,
        path: &'static str,
        query: &str,
        weight: u32,
    ) -> Result<T, OmsError> {
        let reply = self.ask(&call(Method::Get, path, query, Auth::Signed, weight))?;
        serde_json::from_slice(&reply.body).map_err(|error| answer(path, &error))
    }

    /// Changes a setting; every such call may be repeated.
    pub(super) fn change(&mut self, path: &'static str, query: &str) -> Result<(), OmsError> {
        self.ask(&call(Method::Post, path, query, Auth::Signed, 1)).map(drop)
    }

    /// Lets time pass, and says for what.
    pub(super) fn wait(&mut self, wait: &Wait<'_>) -> Result<(), OmsError> {
        if (self.pause)(wait) { Ok(()) } else { Err(OmsError::Stopped) }
    }

    /// What time it is here.
    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Measures the exchange's clock: the sample with the shortest round trip decides.
    pub(super) fn measure_clock(&mut self) -> Result<(), OmsError> {
        let mut best: Option<TimeSample> = None;
        for _ in 0..TIME_SAMPLES {
            let reply = self.ask(&call(Method::Get, TIME, "", Auth::Open, 1))?;
            let server_ms = truth::server_time(&reply.body).map_err(|error| answer(TIME, &error))?;
            let sample = TimeSample { sent: reply.sent, received: reply.received, server_ms };
            if best.is_none_or(|best| sample.round_trip() < best.round_trip()) {
                best = Some(sample);
            }
        }
        if let Some(best) = best {
            self.time.set(best.offset());
        }
        Ok(())
    }

    /// How long to wait after so many failures: between half of the doubled first wait and all of it, and not before
    /// the exchange allows it.
    fn span(&mut self, failures: u32, allowed: Option<Nanos>) -> Duration {
        let whole = (WAIT_FIRST * 2u32.pow(failures.min(DOUBLINGS_MAX))).min(WAIT_MAX);
        let half = whole / 2;
        let wanted = half + Duration::from_nanos(self.random.u64(..=nanos_of(half)));
        let now = self.clock.now();
        let asked = allowed.filter(|until| *until > now).map_or(0, |until| until.since(now));
        wanted.max(Duration::from_nanos(asked))
    }
}

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Nothing but a person.
    None,
    /// Waiting.
    Time,
    /// Measuring the exchange's clock.
    Clock,
}

fn remedy(error: &OmsError) -> Remedy {
    let OmsError::Call { status, code, .. } = error else { return Remedy::None };
    match (status, code.map(|code| (code, meaning(code)))) {
        (_, Some((_, Meaning::Clock))) => Remedy::Clock,
        (_, Some((_, Meaning::Key | Meaning::Account))) | (401 | 451, _) => Remedy::None,
        // No complete answer, took too long, limits and bans, the exchange's own trouble.
        (0 | 403 | 408 | 418 | 429 | 500..=599, _) | (_, Some((_, Meaning::Limit))) => Remedy::Time,
        (_, Some((-1000 | -1001 | -1006 | -1007 | -1008 | -1016, _))) => Remedy::Time,
        _ => Remedy::None,
    }
}

/// All the questions of a start wait no longer than this in all: longer than a maintenance restart or a short ban.
pub const START_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// First wait; doubles up to `WAIT_MAX`.
const WAIT_FIRST: Duration = Duration::from_millis(200);
/// Longest wait that the exchange did not ask for.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Beyond this the longest wait has long been reached.
const DOUBLINGS_MAX: u32 = 10;
/// Measurements of the clock for one question.
const CLOCKS_MAX: u32 = 3;
/// Samples of the exchange's clock in one measurement.
const TIME_SAMPLES: usize = 5;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::VirtualClock;

    use super::*;
    use crate::binance::rest::{answer as say, client, server};
    use crate::binance::setup;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Asks for the position mode of a server that answers like this; what came of it, the waits, and the questions.
    fn asked(answers: Vec<String>, patience: Duration) -> (Result<(), OmsError>, Vec<Duration>, Vec<String>) {
        let (base, heads) = server(answers);
        let clock = VirtualClock::new(Nanos::from_millis(1_000));
        let (time, mut waits, mut client) = (ExchangeTime::new(), Vec::new(), client(&base));
        let mut pause = |wait: &Wait<'_>| {
            waits.push(wait.span);
            clock.advance_to(clock.now() + wait.span);
            true
        };
        let mut asker = Asker::new(&mut client, &clock, &time, patience, 7, &mut pause);
        let end = setup::require_one_way(&mut asker);
        let path = |head: String| head.split(['?', ' ']).nth(1).unwrap_or_default().to_owned();
        (end, waits, heads.try_iter().map(path).collect())
    }

    fn good() -> String {
        say("200 OK", "", r#"{"dualSidePosition":false}"#)
    }

    #[test]
    fn what_time_mends_is_waited_out() {
        let bad = |status: &str, code: i32| say(status, "", &format!(r#"{{"code":{code},"msg":"?"}}"#));
        let answers = vec![
            String::new(),
            say("503 Service Unavailable", "", "Service Unavailable."),
            bad("400 Bad Request", -1001),
            bad("408 Request Timeout", -1007),
            bad("503 Service Unavailable", -1016),
            say("502 Bad Gateway", "", "<html>"),
            good(),
        ];
        let (end, waits, questions) = asked(answers, HOUR);
        assert!(end.is_ok(), "{end:?}");
        assert_eq!((waits.len(), questions.len()), (6, 7));
        for (failures, wait) in waits.iter().enumerate() {
            let whole = WAIT_FIRST * 2u32.pow(u32::try_from(failures).unwrap());
            assert!(*wait >= whole / 2 && *wait <= whole.min(WAIT_MAX), "wait {failures}: {wait:?}");
        }
    }

    #[test]
    fn limits_and_bans_are_waited_out_to_the_second_or_told_with_their_end() {
        let limited = |status: &str, after: u32| {
            say(status, &format!("Retry-After: {after}\r\n"), r#"{"code":-1003,"msg":"Too many requests."}"#)
        };
        let (end, waits, _) = asked(vec![limited("429 Too Many Requests", 7), good()], HOUR);
        assert!(end.is_ok() && waits == [Duration::from_secs(7)], "{end:?} {waits:?}");
        let (end, waits, _) = asked(vec![limited("418 I'm a teapot", 200), good()], HOUR);
        assert!(end.is_ok() && waits == [Duration::from_secs(200)], "{end:?} {waits:?}");
        let (end, waits, questions) = asked(vec![limited("418 I'm a teapot", 900), good()], START_PATIENCE);
        let told = end.unwrap_err().to_string();
        assert!(told.contains("in 900 s") && told.contains("418"), "{told}");
        assert!(waits.is_empty() && questions.len() == 1, "not a single request under the ban");
    }

    #[test]
    fn a_clock_that_is_not_accepted_is_measured_again_and_not_for_ever() {
        let early = || say("400 Bad Request", "", r#"{"code":-1021,"msg":"Timestamp ahead."}"#);
        let time = || (0..TIME_SAMPLES).map(|_| say("200 OK", "", r#"{"serverTime":5000}"#));
        let once: Vec<String> = std::iter::once(early()).chain(time()).chain([good()]).collect();
        let (end, _, questions) = asked(once, HOUR);
        assert!(end.is_ok(), "{end:?}");
        assert_eq!(questions.iter().filter(|path| *path == TIME).count(), TIME_SAMPLES);
        let for_ever: Vec<String> = (0..10).flat_map(|_| std::iter::once(early()).chain(time())).collect();
        let told = asked(for_ever, HOUR).0.unwrap_err().to_string();
        assert!(told.contains("-1021") && told.contains("clock"), "{told}");
    }

    #[test]
    fn what_only_a_person_mends_is_told_at_once() {
        for (status, code) in [
            ("401 Unauthorized", -2014),
            ("401 Unauthorized", -2015),
            ("400 Bad Request", -1022),
            ("400 Bad Request", -4109),
            ("400 Bad Request", -1121),
            ("400 Bad Request", -9999),
            ("451 Unavailable For Legal Reasons", -1),
        ] {
            let refused = say(status, "", &format!(r#"{{"code":{code},"msg":"?"}}"#));
            let (end, waits, questions) = asked(vec![refused, good()], HOUR);
            let told = end.unwrap_err().to_string();
            assert!(told.contains(&code.to_string()) && told.contains("positionSide"), "{told}");
            assert!(waits.is_empty() && questions.len() == 1, "{code}: asked once");
        }
        let hedged = say("200 OK", "", r#"{"dualSidePosition":true}"#);
        assert!(matches!(asked(vec![hedged], HOUR).0, Err(OmsError::HedgeMode)));
        let senseless = say("200 OK", "", "<html>");
        assert!(matches!(asked(vec![senseless, good()], HOUR).0, Err(OmsError::Answer { .. })));
    }

    #[test]
    fn patience_ends_and_a_stop_ends_it_sooner() {
        let (end, waits, _) = asked(vec![String::new(); 60], Duration::from_secs(20));
        let total: Duration = waits.iter().sum();
        assert!(total <= Duration::from_secs(20) && waits.len() > 5, "{waits:?}");
        let told = end.unwrap_err().to_string();
        assert!(told.contains("no complete answer") && told.contains("tries"), "{told}");

        let (base, _heads) = server(vec![String::new(); 5]);
        let (clock, time, mut client) = (VirtualClock::new(Nanos::from_millis(1)), ExchangeTime::new(), client(&base));
        let mut told_to_stop = |_: &Wait<'_>| false;
        let mut asker = Asker::new(&mut client, &clock, &time, HOUR, 7, &mut told_to_stop);
        assert!(matches!(setup::require_one_way(&mut asker), Err(OmsError::Interrupted { .. })));
    }
}
