//! The stream side of the exchange: connections, market streams, user data.
//!
//! What it does: `hub` keeps connections and delivers; `market` derives every market stream from the ticks of the source;
//! `user` tells the account what became of its orders. What it never does: no sockets and no clock; whoever drives it
//! says what arrived and when, and takes the frames to write after every call.
//! Which thread: whoever drives the exchange.

use optiflow_base::clock::Nanos;

use crate::binance::algo::Algo;
use crate::binance::tape::Tape;
use crate::binance::{ConnId, Outgoing};
use crate::core::Core;
use crate::words::{CoreEvent, Listing, Order};

use hub::Hub;
use market::MarketStreams;
use user::UserStream;

mod depth;
mod frames;
mod hub;
mod listen_key;
mod market;
mod protocol;
mod route;
mod topic;
mod user;
mod user_frames;

#[cfg(test)]
mod sync_tests;
#[cfg(test)]
mod testing;

/// Connections, market streams and the user data stream.
#[derive(Debug)]
pub struct Streams {
    hub: Hub,
    market: MarketStreams,
    user: UserStream,
}

impl Streams {
    /// Streams of a market that has not spoken yet; listen keys follow from `seed`.
    pub fn new(listings: &[Listing], seed: u64) -> Streams {
        Streams { hub: Hub::new(listings), market: MarketStreams::new(listings), user: UserStream::new(listings, seed) }
    }

    /// A connection opens.
    ///
    /// # Errors
    /// The HTTP status to refuse the upgrade with.
    pub fn open(&mut self, now: Nanos, conn: ConnId, path_and_query: &str) -> Result<(), u16> {
        self.hub.open(now, conn, path_and_query)
    }

    /// A text frame arrived.
    pub fn text(&mut self, now: Nanos, conn: ConnId, text: &str) {
        self.hub.text(now, conn, text);
    }

    /// A pong arrived.
    pub fn pong(&mut self, now: Nanos, conn: ConnId, payload: &[u8]) {
        self.hub.pong(now, conn, payload);
    }

    /// A ping frame arrived.
    pub fn ping(&mut self, now: Nanos, conn: ConnId) {
        self.hub.ping(now, conn);
    }

    /// How many connections were closed because they sent too much.
    pub const fn flooded(&self) -> u64 {
        self.hub.flooded()
    }

    /// The connection is gone.
    pub fn closed(&mut self, conn: ConnId) {
        self.hub.closed(conn);
    }

    /// The core did something: market ticks become market streams, the rest user data.
    pub fn on_event(&mut self, now: Nanos, event: &CoreEvent, core: &Core) {
        match event {
            CoreEvent::Market(tick) => self.market.tick(tick, core, &mut self.hub),
            CoreEvent::New(_)
            | CoreEvent::Fill { .. }
            | CoreEvent::Amended(_)
            | CoreEvent::Ended { .. }
            | CoreEvent::Liquidation { .. }
            | CoreEvent::Funding { .. } => {
                self.user.event(now, event, |symbol| core.reference_price(symbol), &mut self.hub);
            }
        }
    }

    /// A leverage was changed.
    pub fn on_leverage(&mut self, now: Nanos, symbol: &str, leverage: u32) {
        self.user.leverage(now, symbol, leverage, &mut self.hub);
    }

    /// Something became of a conditional order; `order` is what it has become, as that stands.
    pub fn on_algo(&mut self, now: Nanos, algo: &Algo, order: Option<&Order>) {
        self.user.algo(now, algo, order, &mut self.hub);
    }

    /// Passes time: call it after the core's events up to `now` were handed in.
    pub fn advance(&mut self, now: Nanos, core: &Core) {
        self.user.settle(&mut self.hub);
        self.market.advance(now, core, &mut self.hub);
        self.user.advance(now, &mut self.hub);
        self.hub.advance(now);
    }

    /// When `advance` has something to do.
    pub fn next_due(&self) -> Option<Nanos> {
        [self.market.next_due(), self.user.next_due(), self.hub.next_due()].into_iter().flatten().min()
    }

    /// The next frame to write, oldest first.
    pub fn take_outgoing(&mut self) -> Option<(ConnId, Outgoing)> {
        self.user.settle(&mut self.hub);
        self.hub.take_outgoing()
    }

    /// What has been traded.
    pub const fn tape(&self) -> &Tape {
        self.market.tape()
    }

    /// The listen key that is alive, its hour begun anew; a new one when none is.
    pub fn listen_key_start(&mut self, now: Nanos) -> String {
        self.user.advance(now, &mut self.hub);
        self.user.key().start(now)
    }

    /// Begins the hour of the listen key anew; `None` when none is alive.
    pub fn listen_key_keep(&mut self, now: Nanos) -> Option<String> {
        self.user.advance(now, &mut self.hub);
        self.user.key().keep(now)
    }

    /// Is a listen key alive?
    pub fn has_listen_key(&self) -> bool {
        self.user.next_due().is_some()
    }

    /// Lets the listen key expire before its time.
    pub fn listen_key_expire(&mut self, now: Nanos) {
        self.user.settle(&mut self.hub);
        self.user.key().hasten(now);
        self.user.advance(now, &mut self.hub);
    }

    /// Ends the listen key; whoever listens with it hears nothing more.
    pub fn listen_key_close(&mut self, now: Nanos) {
        self.user.settle(&mut self.hub);
        self.user.advance(now, &mut self.hub);
        self.user.key().close();
    }
}
