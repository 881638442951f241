//! The cold side of a virtual world: performs REST calls as the live client does, one after the other on each line.
//!
//! Signs, keeps the peace after 429 and 418, and lets an answer take as long, or never come, as the exchange's liar
//! decides: a call without a complete answer is answered with status 0. No sockets, no time of its own. Single thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::order::Usage;
use optiflow_base::rest::{Auth, NOT_SENT, RestCall, RestReply};
use optiflow_oms::binance::rest::{Patience, pause, target};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::peace::{Block, Peace};
use optiflow_oms::time::ExchangeTime;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::{Delivery, Request, Response};

use crate::far_end::LOOPBACK;
use crate::links::RestLine;
use crate::seam::{Passage, SharedSeam};

/// Performs the calls of one line.
pub struct Caller {
    pub(crate) exchange: Rc<RefCell<Exchange>>,
    key: Arc<ApiKey>,
    time: ExchangeTime,
    pub(crate) peace: Peace,
    /// The answer that is on its way, and when it is here.
    waiting: Option<(Nanos, RestReply)>,
    patience: Patience,
    seam: Option<SharedSeam>,
    /// Its replies do not reach the room that counts: it is told what they say.
    announces: bool,
}

impl Caller {
    /// A line to `exchange` that has called nobody yet.
    pub fn new(exchange: Rc<RefCell<Exchange>>, key: Arc<ApiKey>, time: ExchangeTime, peace: Peace) -> Caller {
        Caller {
            exchange,
            key,
            time,
            peace,
            waiting: None,
            patience: Patience::default(),
            seam: None,
            announces: false,
        }
    }

    /// The same line, for a room that does not count what was used.
    #[must_use]
    pub fn announcing(self) -> Caller {
        Caller { announces: true, ..self }
    }

    /// Lets every call and reply pass this seam.
    pub fn set_seam(&mut self, seam: SharedSeam) {
        self.seam = Some(seam);
    }

    /// When the answer comes that it waits for, or is given up.
    pub fn answered_at(&self) -> Option<Nanos> {
        self.waiting.as_ref().map(|(due, _)| *due)
    }

    /// Hands over the answer whose time has come and makes the next call, until a call has to wait for its answer.
    pub fn step(&mut self, now: Nanos, line: &mut RestLine) {
        loop {
            if let Some((_, mut reply)) = self.waiting.take_if(|(due, _)| *due <= now) {
                if let Some(seam) = &self.seam {
                    seam.borrow_mut().reply(now, &mut reply);
                }
                if self.announces {
                    self.peace.tell(&Usage { asked: Some(reply.sent), ..reply.usage });
                }
                assert!(line.replies.push(reply).is_ok(), "a stage drains its replies on every step");
            }
            if self.waiting.is_some() {
                return;
            }
            let Some(call) = line.calls.pop() else { return };
            self.waiting = Some(self.perform(now, &call));
        }
    }

    fn perform(&mut self, now: Nanos, call: &RestCall) -> (Nanos, RestReply) {
        let refused = |status: u16, until: Option<Nanos>| {
            let usage = Usage { blocked_until: until, ..Usage::default() };
            RestReply { token: call.token, path: call.path, status, body: Vec::new(), sent: now, received: now, usage }
        };
        if let Some(block) = self.peace.block(now).filter(|_| self.keeps_peace()) {
            return (now, refused(block.status, Some(block.until)));
        }
        if call.is_late(self.time.now_ms(now)) {
            return (now, refused(NOT_SENT, None));
        }
        let response = match self.seam.as_ref().map_or(Passage::Pass, |seam| seam.borrow_mut().call(now, call)) {
            Passage::Pass => self.ask(now, call),
            Passage::Again(times) => {
                (0..times).for_each(|_| drop(self.ask(now, call)));
                self.ask(now, call)
            }
            Passage::Answer(body) => Response { body: body.to_vec(), ..Response::bare(OK) },
        };
        let late = match response.delivery {
            Delivery::Whole => Duration::ZERO,
            Delivery::Late(delay) => delay,
            Delivery::Dribble { pause } => pause * u32::try_from(response.body.len()).unwrap_or(u32::MAX),
            Delivery::Cut { .. } => return (now, refused(0, None)),
            Delivery::Never => Duration::MAX,
        };
        let patience = self.patience.of(call);
        let received = now + late.min(patience);
        self.patience.learn(late >= patience);
        if late >= patience {
            return (received, RestReply { received, ..refused(0, None) });
        }
        let usage = self.usage(now, received, &response);
        let Response { status, body, .. } = response;
        (received, RestReply { status, body, received, usage, ..refused(status, None) })
    }

    fn ask(&self, now: Nanos, call: &RestCall) -> Response {
        let response = self.exchange.borrow_mut().rest(now, &self.request(now, call));
        if let Some(seam) = &self.seam {
            seam.borrow_mut().answered(&response);
        }
        response
    }

    fn keeps_peace(&self) -> bool {
        self.seam.as_ref().is_none_or(|seam| seam.borrow().keeps_peace())
    }

    /// The call as it is sent at `now`; what it weighs is counted.
    pub(crate) fn request(&self, now: Nanos, call: &RestCall) -> Request {
        self.peace.weight().spend(self.time.theirs(now), call.weight);
        let target = target(call, Some(&self.key), self.time.now_ms(now)).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Request {
            method: call.method.name().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            api_key: (call.auth != Auth::Open).then(|| self.key.id().to_owned()),
            body: Vec::new(),
            peer: LOOPBACK,
        }
    }

    /// What the answer's head says of our use; silence that it asks for is kept.
    pub(crate) fn usage(&self, sent: Nanos, received: Nanos, response: &Response) -> Usage {
        let number = |name: &str| -> Option<u32> {
            let header = response.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
            header.and_then(|(_, value)| value.parse().ok())
        };
        let retry_after = number("retry-after").map(|seconds| Duration::from_secs(seconds.into()));
        let blocked_until = pause(response.status, retry_after).map(|pause| received + pause);
        if let Some(until) = blocked_until.filter(|_| self.keeps_peace()) {
            self.peace.keep(Block { until, status: response.status });
        }
        let weight_minute = number("x-mbx-used-weight-1m");
        if let Some(used) = weight_minute {
            self.peace.weight().told(self.time.theirs(sent), self.time.theirs(received), used);
        }
        Usage {
            weight_minute,
            orders_ten_seconds: number("x-mbx-order-count-10s"),
            orders_minute: number("x-mbx-order-count-1m"),
            blocked_until,
            ..Usage::default()
        }
    }
}

/// HTTP status of an answer that a seam gives.
const OK: u16 = 200;
