//! REST calls that take time: the request travels, is answered by the exchange at its own time, and the answer travels
//! back. One call at a time, as the live client makes them. No time of its own. Single thread.

use optiflow_base::clock::Nanos;
use optiflow_base::order::Usage;
use optiflow_base::rest::{RestCall, RestReply};

use optiflow_sim::binance::Request;

use super::weather::Weather;
use crate::control::Caller;
use crate::links::RestLine;

/// Performs the calls of one line.
pub struct Courier {
    caller: Caller,
    trip: Option<Trip>,
    /// Its replies do not reach the room that counts: what they say of our use is passed on through the peace.
    announces: bool,
    /// The exchange's counts are kept from it.
    is_blind: bool,
    /// Answers with 429 or 418.
    pub refused: u64,
}

enum Trip {
    There { due: Nanos, sent: Nanos, call: Box<RestCall>, request: Request },
    Back { due: Nanos, reply: RestReply },
}

impl Courier {
    /// One that signs and keeps silent as `caller` does.
    pub const fn new(caller: Caller, announces: bool, is_blind: bool) -> Courier {
        Courier { caller, trip: None, announces, is_blind, refused: 0 }
    }

    /// Lets calls and answers travel. Every answer is handed over before the next call leaves.
    pub fn step(&mut self, now: Nanos, weather: &Weather, line: &mut RestLine) {
        loop {
            self.trip = match self.trip.take() {
                None => {
                    let Some(call) = line.calls.pop() else { return };
                    Some(self.leave(now, weather, call))
                }
                Some(Trip::There { due, sent, call, request }) if due <= now => {
                    Some(self.arrive(now, sent, weather, &call, &request))
                }
                Some(Trip::Back { due, reply }) if due <= now => {
                    if self.announces {
                        self.caller.peace.tell(&Usage { asked: Some(reply.sent), ..reply.usage });
                    }
                    assert!(line.replies.push(reply).is_ok(), "a stage drains its replies on every step");
                    None
                }
                waits @ Some(_) => {
                    self.trip = waits;
                    return;
                }
            };
        }
    }

    fn leave(&self, now: Nanos, weather: &Weather, call: RestCall) -> Trip {
        match self.caller.peace.block(now) {
            Some(block) => {
                let usage = Usage { blocked_until: Some(block.until), ..Usage::default() };
                Trip::Back { due: now, reply: reply(&call, block.status, (now, now), usage, Vec::new()) }
            }
            None => {
                let request = self.caller.request(now, &call);
                Trip::There { due: now + weather.travel(), sent: now, call: Box::new(call), request }
            }
        }
    }

    fn arrive(&mut self, now: Nanos, sent: Nanos, weather: &Weather, call: &RestCall, request: &Request) -> Trip {
        let mut response = self.caller.exchange.borrow_mut().rest(weather.theirs(now), request);
        if self.is_blind {
            response.headers.retain(|(name, _)| !is_count(name));
        }
        self.refused += u64::from(matches!(response.status, 429 | 418));
        let due = now + weather.travel();
        let usage = self.caller.usage(sent, due, &response);
        Trip::Back { due, reply: reply(call, response.status, (sent, due), usage, response.body) }
    }
}

/// Is it the header of a count?
fn is_count(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-mbx-used-weight") || name.starts_with("x-mbx-order-count")
}

fn reply(call: &RestCall, status: u16, (sent, received): (Nanos, Nanos), usage: Usage, body: Vec<u8>) -> RestReply {
    RestReply { token: call.token, path: call.path, status, body, sent, received, usage }
}
