//! The exchange inside its thread, and the doors its frames leave by: one bounded queue per WebSocket connection.
//!
//! Every call into the exchange goes through [`House::with`], which then hands the frames out and sees to it that the
//! timer wakes in time. A connection that does not take its frames is cut off.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::{ConnId, Outgoing, Response};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;

use super::ruler::Ruler;

/// The exchange, its clock and its doors.
pub struct House {
    exchange: RefCell<Exchange>,
    clock: RealClock,
    doors: RefCell<BTreeMap<ConnId, Door>>,
    next_id: Cell<u64>,
    /// When the timer is going to wake; nothing while it does not sleep.
    wakes: Cell<Option<Nanos>>,
    wake: Notify,
    /// Measures reactions, where that is wanted.
    ruler: Option<RefCell<Ruler>>,
}

struct Door {
    frames: Sender<Outgoing>,
    /// The task that writes them, once it runs.
    writer: Option<AbortHandle>,
}

impl House {
    /// A house with no connection, and a ruler where there is one.
    pub fn new(exchange: Exchange, clock: RealClock, ruler: Option<Ruler>) -> House {
        House {
            exchange: RefCell::new(exchange),
            clock,
            doors: RefCell::new(BTreeMap::new()),
            next_id: Cell::new(1),
            wakes: Cell::new(None),
            wake: Notify::new(),
            ruler: ruler.map(RefCell::new),
        }
    }

    /// The clock that everything is stamped by.
    pub fn clock(&self) -> RealClock {
        self.clock.clone()
    }

    /// What measures reactions, where that is wanted.
    pub fn ruler(&self) -> Option<std::cell::RefMut<'_, Ruler>> {
        self.ruler.as_ref().map(RefCell::borrow_mut)
    }

    /// Are new connections refused now?
    pub fn refuses_connects(&self) -> bool {
        self.exchange.borrow().refuses_connects(self.clock.now())
    }

    /// Calls into the exchange; what it wants written is on its way afterwards.
    pub fn with<R>(&self, work: impl FnOnce(&mut Exchange, Nanos) -> R) -> R {
        let mut exchange = self.exchange.borrow_mut();
        let result = work(&mut exchange, self.clock.now());
        let mut slow = Vec::new();
        while let Some((id, frame)) = exchange.take_outgoing() {
            if !self.hand_out(id, frame) {
                slow.push(id);
            }
        }
        for id in slow {
            self.cut_off(id);
            exchange.closed(id);
        }
        let due = exchange.next_due();
        if due.zip(self.wakes.get()).is_some_and(|(due, wakes)| due < wakes) {
            self.wake.notify_one();
        }
        result
    }

    /// Opens a door for a connection that upgrades, or says how to refuse it.
    pub fn open(&self, path_and_query: &str, peer: IpAddr) -> Result<(ConnId, Receiver<Outgoing>), Response> {
        if self.doors.borrow().len() >= SOCKETS_MAX {
            return Err(Response::bare(503));
        }
        let id = ConnId(self.next_id.replace(self.next_id.get() + 1));
        let (frames, queue) = mpsc::channel(QUEUE_LEN);
        self.doors.borrow_mut().insert(id, Door { frames, writer: None });
        let opened = self.with(|exchange, now| exchange.open(now, id, path_and_query, peer));
        if opened.is_err() {
            self.doors.borrow_mut().remove(&id);
        }
        opened.map(|()| (id, queue))
    }

    /// Names the task that writes a connection's frames.
    pub fn written_by(&self, id: ConnId, writer: AbortHandle) {
        if let Some(door) = self.doors.borrow_mut().get_mut(&id) {
            door.writer = Some(writer);
        }
    }

    /// The connection is gone.
    pub fn closed(&self, id: ConnId) {
        self.doors.borrow_mut().remove(&id);
        self.with(|exchange, _| exchange.closed(id));
    }

    /// Tells every connection that the exchange goes away.
    pub fn close_all(&self) {
        for door in self.doors.borrow().values() {
            // A queue that is full belongs to someone who is not listening anyway.
            let _ = door.frames.try_send(Outgoing::Close { code: 1001, reason: "Going away".to_owned() });
        }
    }

    /// Waits until the exchange has something to do, or until somebody gave it something earlier.
    pub async fn wait(&self) {
        let now = self.clock.now();
        let due = self.exchange.borrow().next_due();
        let wakes = due.map_or(now + IDLE_MAX, |due| due.min(now + IDLE_MAX));
        if wakes <= now {
            return tokio::task::yield_now().await;
        }
        self.wakes.set(Some(wakes));
        let pause = Duration::from_nanos(wakes.since(now));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.wake.notified() => {}
        }
        self.wakes.set(None);
    }

    /// Puts a frame into its queue. False when the queue is full.
    fn hand_out(&self, id: ConnId, frame: Outgoing) -> bool {
        let mut doors = self.doors.borrow_mut();
        let Some(door) = doors.get(&id) else { return true };
        let last = matches!(frame, Outgoing::Close { .. } | Outgoing::Cut { .. });
        let accepted = !matches!(door.frames.try_send(frame), Err(mpsc::error::TrySendError::Full(_)));
        if last && accepted {
            // The writer drains its queue, writes the close frame or the cut one, and ends.
            doors.remove(&id);
        }
        accepted
    }

    fn cut_off(&self, id: ConnId) {
        if let Some(writer) = self.doors.borrow_mut().remove(&id).and_then(|door| door.writer) {
            writer.abort();
        }
    }
}

/// Frames that wait for one connection. Who falls further behind is cut off.
const QUEUE_LEN: usize = 16_384;
/// WebSocket connections at a time; more are refused.
const SOCKETS_MAX: usize = 400;
/// The timer looks again after this even if nothing is due.
const IDLE_MAX: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use optiflow_base::money::Notional;
    use optiflow_sim::binance::exchange::ExchangeConfig;
    use optiflow_sim::core::CoreConfig;
    use optiflow_sim::market;

    use super::*;
    use crate::exchange::keys;

    /// A house with a lively market, and its time.
    fn house() -> (House, Nanos) {
        let clock = RealClock::new();
        let start = clock.now();
        let source = market::open("synthetic", 1).unwrap();
        let core = CoreConfig {
            listings: source.listings().to_vec(),
            wallet: Notional::ZERO,
            leverage: 1,
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
            speed: 50.0,
            start,
            rules: Default::default(),
        };
        let config = ExchangeConfig { core, keys: keys::make(1).unwrap().to_sim(), seed: 1 };
        (House::new(Exchange::new(config, source), clock, None), start)
    }

    #[test]
    fn who_does_not_read_is_cut_off_and_others_are_not() {
        let (house, mut time) = house();
        let peer = Ipv4Addr::LOCALHOST.into();
        let path = "/public/ws/btcusdt@bookTicker/btcusdt@depth@0ms/btcusdt@trade";
        let (slow, mut unread) = house.open(path, peer).unwrap();
        let (quick, mut read) = house.open(path, peer).unwrap();
        let mut seen = 0;
        while house.doors.borrow().contains_key(&slow) {
            time = time + Duration::from_millis(100);
            house.with(|exchange, _| exchange.advance(time));
            while read.try_recv().is_ok() {
                seen += 1;
            }
        }
        assert!(seen >= QUEUE_LEN);
        assert!(house.doors.borrow().contains_key(&quick));
        let mut waiting = 0;
        while unread.try_recv().is_ok() {
            waiting += 1;
        }
        assert_eq!(waiting, QUEUE_LEN);
        assert_eq!(unread.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn a_refused_connection_leaves_no_door() {
        let (house, _) = house();
        let refused = house.open("/nowhere", Ipv4Addr::LOCALHOST.into());
        assert_eq!(refused.map(|_| ()).unwrap_err().status, 404);
        assert!(house.doors.borrow().is_empty());
    }
}
