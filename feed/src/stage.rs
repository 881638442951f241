//! The feed stage: two connections in, the market ring out.
//!
//! `/public` carries diffs and best prices, `/market` trades and mark prices. Each step takes a bounded number of
//! messages from both, then looks after what is due: snapshots, silence, losses that a full ring could not take.
//! Policies when a ring is full: a depth message that does not fit loses the book (`RingFull`), which is then fetched
//! anew; a best price, trade or mark price that does not fit is dropped and counted: the next one replaces it, and risk
//! refuses on quotes that are too old. A loss or a silence is never dropped: it is said as soon as there is room.
//! Never blocks, never allocates after warm-up. Runs on the feed thread.

mod desk;
mod symbol;
mod tally;

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::log::Log;
use optiflow_base::market::{BookDoubt, MarketEvent, StreamKind};
use optiflow_base::money::Price;
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_base::ring::{Rx, Tx};
use optiflow_base::stage::{Progress, Stage};
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::Dialer;

use crate::binance::streams::{SNAPSHOT_LEVELS_MAX, market_path, public_path};
use crate::sync::events_len;
use desk::Desk;

pub use crate::watch::Silence;

/// The feed stage.
pub struct Feed<D: Dialer, C: Clock> {
    public: Connection<D>,
    market: Connection<D>,
    desk: Desk<C>,
    /// Counts steps: which route is polled first.
    turn: u8,
}

/// What the feed stage is told at the start.
pub struct FeedConfig {
    /// Symbols; the position of each is its id.
    pub symbols: Vec<FeedSymbol>,
    /// Server of `/public`; the path is replaced.
    pub public: Endpoint,
    /// Server of `/market`; the path is replaced.
    pub market: Endpoint,
    /// Speed of the diffs as the venue writes it, such as `100ms`.
    pub depth_speed: String,
    /// How long each kind of stream may be silent.
    pub silence: Silence,
    /// How far behind the exchange a stream may be; one that is later tells old news and counts as silent.
    pub lag_max: Duration,
    /// Bounds of both connections.
    pub limits: Limits,
    /// Decides the jitter of reconnects.
    pub seed: u64,
}

/// One symbol of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedSymbol {
    /// Its id; equal to its position.
    pub id: SymbolId,
    /// Venue name, upper case.
    pub name: SymbolName,
    /// Step of its prices: a price off this grid makes its message malformed.
    pub tick_size: Price,
}

/// The rings of the feed stage.
pub struct FeedPorts {
    /// Everything, to the engine. At least [`MARKET_RING_LEN_MIN`] long.
    pub market: Tx<MarketEvent>,
    /// Only `Top`, `Mark`, `BookLost` and `Silence`, to risk.
    pub quotes: Tx<MarketEvent>,
    /// Snapshot calls, to control.
    pub rest: Tx<RestCall>,
    /// Their answers.
    pub replies: Rx<RestReply>,
    /// Books that the engine does not believe, although they are in sequence.
    pub doubts: Rx<BookDoubt>,
    /// Notices and latencies, to storage.
    pub log: Log,
}

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Public,
    Market,
}

impl Route {
    const ALL: [Route; 2] = [Route::Public, Route::Market];

    const fn kinds(self) -> [StreamKind; 2] {
        match self {
            Route::Public => [StreamKind::Depth, StreamKind::Top],
            Route::Market => [StreamKind::Trade, StreamKind::Mark],
        }
    }
}

impl<D: Dialer, C: Clock> Feed<D, C> {
    /// Builds the stage; nothing is dialled before the first step. `clock` stamps every message when it has been read.
    ///
    /// # Panics
    /// If the configuration contradicts itself: it was checked before.
    pub fn new(config: FeedConfig, dial: impl Fn() -> D, clock: C, ports: FeedPorts) -> Feed<D, C> {
        let in_order = config.symbols.iter().enumerate().all(|(index, symbol)| symbol.id.index() == index);
        assert!(in_order, "symbols stand in the order of their ids: {:?}", config.symbols);
        assert!(ports.market.free() >= MARKET_RING_LEN_MIN, "the market ring must hold a snapshot: {:?}", ports.market);
        let names: Vec<SymbolName> = config.symbols.iter().map(|symbol| symbol.name).collect();
        let public = config.public.with_path(&public_path(&names, &config.depth_speed));
        let market = config.market.with_path(&market_path(&names));
        Feed {
            public: Connection::new(public, dial(), config.limits.clone(), config.seed),
            market: Connection::new(market, dial(), config.limits, config.seed.wrapping_add(1)),
            desk: Desk::new(&config.symbols, config.silence, config.lag_max, clock, ports),
            turn: 0,
        }
    }

    fn connection(&mut self, route: Route) -> &mut Connection<D> {
        match route {
            Route::Public => &mut self.public,
            Route::Market => &mut self.market,
        }
    }
}

impl<D: Dialer, C: Clock> Stage for Feed<D, C> {
    fn step(&mut self, now: Nanos) -> Progress {
        self.desk.begin(now);
        let mut progress = self.desk.take_doubts(now).or(self.desk.take_replies(now));
        if self.desk.care(now) {
            for route in Route::ALL {
                if self.desk.reconnect_due(route, now) {
                    self.connection(route).reconnect(now);
                }
            }
        }
        // A message ends the step: the next stage must not wait for another read. Routes take turns at being first.
        self.turn = self.turn.wrapping_add(1);
        for route in
            if self.turn.is_multiple_of(2) { [Route::Public, Route::Market] } else { [Route::Market, Route::Public] }
        {
            match self.poll(route, now) {
                Heard::Nothing => {}
                Heard::Something => progress = Progress::Busy,
                Heard::Message => return Progress::Busy,
            }
        }
        progress
    }
}

/// What polling a connection came to.
enum Heard {
    Nothing,
    /// It connects, or told that it is up or down.
    Something,
    Message,
}

impl<D: Dialer, C: Clock> Feed<D, C> {
    /// Polls a connection until it has nothing to say, or has said one message.
    fn poll(&mut self, route: Route, now: Nanos) -> Heard {
        let connection = match route {
            Route::Public => &mut self.public,
            Route::Market => &mut self.market,
        };
        for polls in 0..POLLS_PER_STEP_MAX {
            match connection.poll(now) {
                Event::Idle if polls == 0 => return Heard::Nothing,
                Event::Idle => return Heard::Something,
                Event::Working => {}
                Event::Up => self.desk.up(route, now),
                Event::Down(reason) => self.desk.down(route, reason, now),
                Event::Text(payload) => {
                    self.desk.text(payload);
                    return Heard::Message;
                }
            }
        }
        Heard::Something
    }
}

/// Polls of one connection in one step while it connects.
const POLLS_PER_STEP_MAX: u32 = 32;
/// Shortest market ring: a whole snapshot and some diffs that waited for it.
pub const MARKET_RING_LEN_MIN: usize = 1_024;

const _: () = assert!(events_len(SNAPSHOT_LEVELS_MAX, SNAPSHOT_LEVELS_MAX) < MARKET_RING_LEN_MIN);
