//! The two order sockets: one in use, and a spare that is connected and logged on, ready to take over.
//!
//! When the one in use dies, or closes because of its age, the spare takes over at once; the other connects again and
//! becomes the spare. What had left on the dying one without an answer is unknown and asked about; it is never sent again.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::order::{Report, Usage};
use optiflow_wire::connection::Connection;
use optiflow_wire::down::Down;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::Dialer;

use super::core::{Core, is_silence};
use super::pending::{Asked, Line};
use super::weighing::{HANDSHAKE_WEIGHT, LOGON_WEIGHT};
use crate::binance::rest::PAUSE_MAX;
use crate::desk::{FIRST_QUERY, LOST_QUERY};

impl<C: Clock> Core<C> {
    /// An order socket is connected: ready, or after the logon that an Ed25519 key needs.
    pub(super) fn order_socket_up<D: Dialer>(&mut self, now: Nanos, line: Line, socket: &mut Connection<D>) {
        let what = if line == self.line { "order socket is up" } else { "spare order socket is up" };
        self.desk.reporter.notice(now, what, 0);
        self.weighs(now, HANDSHAKE_WEIGHT);
        if !self.key.has_session() {
            self.set_ready(line, true);
            return;
        }
        if self.trouble.is_some() {
            return;
        }
        let Some(number) = self.pending.next_number() else {
            self.logon_failed[line.index()] = true;
            return;
        };
        let frame = self.requests.logon(number, self.time.now_ms(now));
        match socket.send_text(now, frame) {
            Ok(()) => {
                self.pending.sent(Asked::Logon, line, now);
                self.weighs(now, LOGON_WEIGHT);
            }
            Err(_) => self.logon_failed[line.index()] = true,
        }
    }

    /// An order socket is gone, and with it every answer that was on its way there.
    pub(super) fn order_socket_down(&mut self, now: Nanos, line: Line, reason: Down) {
        let in_use = line == self.line;
        self.note_down(now, if in_use { "order socket is down" } else { "spare order socket is down" }, reason);
        if let Down::Refused { status, retry_after: Some(seconds) } = reason
            && is_silence(status)
        {
            let until = now + Duration::from_secs(seconds.into()).min(PAUSE_MAX);
            self.limited(status, until);
            self.desk.reporter.send(Report::Usage(Usage { blocked_until: Some(until), ..Usage::default() }));
        }
        self.set_ready(line, false);
        self.owes_answers &= !in_use;
        let alone = in_use && !self.spare_ready;
        // After a reconnect one list of open orders answers for all; a spare has no reason to wait.
        let patience = if alone { LOST_QUERY } else { FIRST_QUERY };
        while let Some(request) = self.pending.lost(line) {
            self.no_answer(now, &request, patience);
        }
        self.logon_failed[line.index()] = false;
        if alone {
            assert!(!self.orders_ready, "nothing is sent without a socket");
            self.reconcile.restart();
        }
    }

    /// The socket in use can no longer send: is there one that can? Then it is in use from now on.
    pub(super) fn take_over(&mut self, now: Nanos) -> bool {
        if !self.spare_ready {
            return false;
        }
        (self.line, self.owes_answers) = (self.line.other(), false);
        (self.orders_ready, self.spare_ready) = (true, false);
        let live = i64::from(self.desk.table.counts().live);
        self.desk.reporter.notice(now, "spare order socket takes over", live);
        true
    }

    /// Whether requests are taken there.
    pub(super) const fn set_ready(&mut self, line: Line, ready: bool) {
        if line.index() == self.line.index() {
            self.orders_ready = ready;
        } else {
            self.spare_ready = ready;
        }
    }

    /// The answer to a logon that failed, or none: connected again, unless a person must act first.
    pub(super) const fn logon_failed(&mut self, line: Line) {
        self.logon_failed[line.index()] = self.trouble.is_none();
    }
}

/// The spare's bounds: it is younger, so that both do not reach their age together.
pub fn limits_of_spare(limits: &Limits) -> Limits {
    let lifetime = (limits.lifetime / 5 * 3).max(limits.stable_after + Duration::from_secs(1));
    Limits { lifetime, ..limits.clone() }
}
