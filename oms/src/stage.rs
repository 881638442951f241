//! The oms stage: its sockets, a ring of approved intents, and what keeps our truth and the exchange's the same.
//!
//! A step sends what was approved, hears the sockets and the answers to REST calls, and looks after what is due: late
//! answers, doubts, listen key, clock, dead-man's switch, reconciliation, stopping. Bounded; never blocks; steps on the
//! oms thread.

use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::{Command, Milestone, Pulse};
use optiflow_base::instrument::Instrument;
use optiflow_base::log::Log;
use optiflow_base::order::Report;
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_base::ring::{Rx, Tx};
use optiflow_base::stage::{Progress, Stage};
use optiflow_risk::Approved;
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::Dialer;

use crate::binance::sign::ApiKey;
use crate::former::Former;
use crate::peace::Peace;
use crate::time::ExchangeTime;
use core::Core;
use pending::Line;

mod absence;
mod answers;
mod audit;
mod by_rest;
mod calls;
mod clock_sync;
mod core;
mod dead_man;
mod events;
mod gate;
mod lines;
mod listen_key;
mod modifying;
mod pending;
mod placing;
mod question;
mod reconcile;
mod stopping;
mod watch;
mod weighing;

pub use dead_man::Countdown;
pub use placing::LocalCode;

/// Stage 4: approved intents to the exchange and back.
pub struct Oms<D: Dialer, C: Clock> {
    /// In use.
    order_socket: Connection<D>,
    spare_socket: Option<Connection<D>>,
    user_socket: Connection<D>,
    core: Core<C>,
    orders: Rx<Approved>,
    replies: Rx<RestReply>,
    commands: Rx<Command>,
}

/// How the stage is set up.
pub struct OmsConfig {
    /// The session's contracts; the index is the `SymbolId`.
    pub instruments: Vec<Instrument>,
    /// Where orders go.
    pub ws_api: Endpoint,
    /// Where the user stream comes from; the path becomes `…/ws/<listen key>`, below `/private` unless it names
    /// another folder.
    pub private: Endpoint,
    /// Who we are.
    pub key: Arc<ApiKey>,
    /// The exchange's clock, shared with the REST client.
    pub time: ExchangeTime,
    /// Asset in which wallet and fees are counted, such as `USDT`.
    pub margin_asset: String,
    /// An order request is good for this long after its timestamp.
    pub recv_window_ms: u32,
    /// A request on the order socket without an answer for this long is unknown.
    pub reply_timeout: Duration,
    /// Stopping that has not succeeded in this time has failed.
    pub stop_timeout: Duration,
    /// Bounds of the sockets.
    pub limits: Limits,
    /// Seed of the sockets' jitter.
    pub seed: u64,
    /// What watches over the orders, and what is known of the world around the stage.
    pub guards: Guards,
}

/// What watches over the orders, and what is known of the world around the stage.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// The dead-man's switch.
    pub countdown: Countdown,
    /// Keep a second order socket, connected and logged on, that takes over when the first one ends.
    pub spare: bool,
    /// Storage's sign of life; `None` where nothing is stored.
    pub storage: Option<Pulse>,
    /// What the REST clients of this address know together.
    pub peace: Peace,
    /// What former sessions left behind at this exchange, by the database; `None` where there is none to ask.
    pub former: Option<Former>,
    /// Since when no other engine of this database can have sent anything; the stage's own beginning where nobody knows.
    pub alone_since: Option<Nanos>,
}

/// The ring ends of the stage.
pub struct OmsPorts {
    /// From risk.
    pub orders: Rx<Approved>,
    /// Reports to risk.
    pub to_risk: Tx<Report>,
    /// Reports to engine.
    pub to_engine: Tx<Report>,
    /// REST calls to the control thread.
    pub rest: Tx<RestCall>,
    /// Their answers.
    pub replies: Rx<RestReply>,
    /// From the control thread.
    pub commands: Rx<Command>,
    /// To the control thread.
    pub milestones: Tx<Milestone>,
    /// To storage.
    pub log: Log,
}

impl<D: Dialer, C: Clock> Oms<D, C> {
    /// A stage that connects, reconciles and says `Ready` as it is stepped. The clock only stamps what was written.
    pub fn new(config: OmsConfig, dial: impl Fn() -> D, clock: C, ports: OmsPorts) -> Oms<D, C> {
        let OmsPorts { orders, to_risk, to_engine, rest, replies, commands, milestones, log } = ports;
        let limits = config.limits.clone();
        let order_socket = Connection::new(config.ws_api.clone(), dial(), limits.clone(), config.seed);
        let user_socket = Connection::new(config.private.clone(), dial(), limits.clone(), config.seed ^ USER_SALT);
        let spare_limits = lines::limits_of_spare(&limits);
        let spare = || Connection::new(config.ws_api.clone(), dial(), spare_limits, config.seed ^ SPARE_SALT);
        let spare_socket = config.guards.spare.then(spare);
        let core = Core::new(config, clock, to_risk, to_engine, rest, milestones, log);
        Oms { order_socket, spare_socket, user_socket, core, orders, replies, commands }
    }

    fn hear_commands(&mut self, now: Nanos) -> bool {
        let mut heard = false;
        while let Some(command) = self.commands.pop() {
            match command {
                Command::Stop => self.core.stop(now),
                Command::Kill => self.core.kill(now),
            }
            heard = true;
        }
        heard
    }

    fn send_orders(&mut self, now: Nanos) -> bool {
        for sent in 0..ORDERS_PER_STEP {
            let Some(approved) = self.orders.pop() else { return sent > 0 };
            self.core.send(now, &approved, &mut self.order_socket);
        }
        true
    }

    fn hear_order_sockets(&mut self, now: Nanos) -> bool {
        let line = self.core.line;
        let mut heard = hear(&mut self.core, now, line, &mut self.order_socket);
        self.use_spare(now);
        let spare = self.core.line.other();
        if let Some(socket) = &mut self.spare_socket {
            heard |= hear(&mut self.core, now, spare, socket);
        }
        heard
    }

    /// A socket that is down, or closing because of its age, sends nothing any more: the spare takes its place.
    fn use_spare(&mut self, now: Nanos) {
        let Some(spare) = self.spare_socket.as_mut().filter(|spare| spare.is_up()) else { return };
        if !self.order_socket.is_up() && self.core.take_over(now) {
            std::mem::swap(&mut self.order_socket, spare);
        }
    }

    fn hear_user_socket(&mut self, now: Nanos) -> bool {
        if !self.core.listen_key.is_known() {
            return false;
        }
        for heard in 0..EVENTS_PER_STEP {
            if let Some(until) = self.core.banned_until(now) {
                self.user_socket.hold_off(until);
            }
            match self.user_socket.poll(now) {
                Event::Idle => return heard > 0,
                Event::Working => {}
                Event::Up => self.core.user_socket_up(now),
                Event::Down(reason) => self.core.user_socket_down(now, reason),
                Event::Text(text) => self.core.on_user_event(now, text),
            }
        }
        true
    }

    fn hear_answers(&mut self, now: Nanos) -> bool {
        for heard in 0..ANSWERS_PER_STEP {
            let Some(reply) = self.replies.pop() else { return heard > 0 };
            self.core.on_answer(now, &reply);
        }
        true
    }

    fn connect_with_new_key(&mut self, now: Nanos) {
        if let Some(path) = self.core.new_path.take() {
            self.user_socket.set_path(&path);
            self.user_socket.reconnect(now);
        }
        if std::mem::take(&mut self.core.stream_is_dead) {
            self.user_socket.reconnect(now);
        }
        let failed = std::mem::take(&mut self.core.logon_failed);
        if failed[self.core.line.index()] {
            self.order_socket.reconnect(now);
        }
        if let Some(spare) = self.spare_socket.as_mut().filter(|_| failed[self.core.line.other().index()]) {
            spare.reconnect(now);
        }
        if std::mem::take(&mut self.core.hang_up) {
            self.order_socket.close(now);
            if let Some(spare) = &mut self.spare_socket {
                spare.close(now);
            }
            self.user_socket.close(now);
        }
    }
}

impl<D: Dialer, C: Clock> Stage for Oms<D, C> {
    fn step(&mut self, now: Nanos) -> Progress {
        let mut worked = self.hear_commands(now);
        self.use_spare(now);
        worked |= self.send_orders(now);
        worked |= self.hear_order_sockets(now);
        worked |= self.hear_user_socket(now);
        worked |= self.hear_answers(now);
        self.core.look_after(now, &mut self.order_socket);
        self.connect_with_new_key(now);
        worked |= self.core.tell(now);
        Progress::from_work(worked)
    }
}

fn hear<D: Dialer, C: Clock>(core: &mut Core<C>, now: Nanos, line: Line, socket: &mut Connection<D>) -> bool {
    for heard in 0..EVENTS_PER_STEP {
        if now < core.silent_until {
            // An attempt to connect is a request like any other, and prolongs a ban.
            socket.hold_off(core.silent_until);
        }
        match socket.poll(now) {
            Event::Idle => return heard > 0,
            Event::Working => {}
            Event::Up => core.order_socket_up(now, line, socket),
            Event::Down(reason) => core.order_socket_down(now, line, reason),
            Event::Text(text) => core.on_reply(now, text),
        }
    }
    true
}

/// Approved intents sent in one step.
const ORDERS_PER_STEP: usize = 32;
/// Socket events handled in one step, each socket.
const EVENTS_PER_STEP: usize = 64;
/// REST answers handled in one step.
const ANSWERS_PER_STEP: usize = 8;
/// No two sockets share their jitter.
const USER_SALT: u64 = 0x7573_6572;
const SPARE_SALT: u64 = 0x7370_6172;

#[cfg(test)]
mod tests;
