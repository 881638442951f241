//! Events of the user stream become facts about orders, positions and the wallet.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::OrderId;
use optiflow_base::log::Span;
use optiflow_base::order::Report;

use super::core::Core;
use crate::binance::truth::Status;
use crate::binance::user::{self, AccountUpdate, OrderUpdate, UserEvent};
use crate::order::terms::Shown;
use crate::order::{Fact, Fill};

impl<C: Clock> Core<C> {
    /// A message of the user stream.
    pub(super) fn on_user_event(&mut self, now: Nanos, text: &[u8]) {
        let Ok(event) = user::parse(text) else {
            // It may have been a fill: nothing less than asking for everything makes up for it.
            self.desk.reporter.notice(now, "user event cannot be read", i64::from(text.len() as u32));
            self.desk.contradicted = true;
            return;
        };
        if event.event_ms() > 0 {
            self.desk.reporter.latency(Span::UserDelay, now.since(self.time.ours(event.event_ms())));
        }
        match event {
            UserEvent::Order(update) => self.on_order_update(now, &update),
            UserEvent::Account(update) => self.on_account_update(now, &update),
            UserEvent::ListenKeyExpired => {
                self.desk.reporter.notice(now, "listen key has expired", 0);
                self.stream_has_ended(now);
            }
            UserEvent::Settings { leverage } => {
                self.desk.reporter.notice(now, "account settings were changed", leverage.unwrap_or(0).into());
            }
            UserEvent::MarginCall => self.fail(now, "margin call: positions are close to liquidation, reduce them"),
            // A trade told early has no fee; the full event follows and books it.
            UserEvent::TradeLite { .. } => {}
            UserEvent::Other => self.desk.reporter.notice(now, "user event of an unknown kind", 0),
        }
    }

    fn on_order_update(&mut self, now: Nanos, update: &OrderUpdate<'_>) {
        let Some(symbol) = self.symbol(&update.symbol) else {
            self.note_elsewhere(now, update);
            return;
        };
        let ours = OrderId::parse(update.client.as_bytes()).filter(|id| self.desk.table.get(*id).is_some());
        let fill = update.fill.map(|fill| self.with_fee(now, fill, update.fee_asset == *self.margin_asset));
        let Some(id) = ours else {
            self.on_unknown_former(now, &update.client);
            if let Some(fill) = fill {
                self.desk.foreign_fill(now, update.trade_ms, symbol, update.side, &fill);
            }
            if is_forced(update) {
                self.fail(now, "the exchange closes positions by force: look at the account");
            }
            return;
        };
        self.desk.table.change(id, |order| order.heard = true);
        self.watch.alive();
        if update.status == Status::Other {
            self.desk.reporter.notice(now, "order status is not known; taken to live", i64::from(id.counter()));
            self.desk.table.doubt(id, now);
        }
        if let Some(fill) = fill {
            self.desk.learn(now, update.trade_ms, id, Fact::Traded { exchange_id: update.exchange_id, fill });
        }
        self.desk.learn(now, update.trade_ms, id, update.status.fact(update.exchange_id, update.executed));
        if let Some(terms) = update.amended {
            self.desk.shown(now, update.trade_ms, id, terms, Shown::Event);
        }
    }

    /// What happens in a symbol that is not configured moves nothing here, but takes margin from the same account.
    fn note_elsewhere(&mut self, now: Nanos, update: &OrderUpdate<'_>) {
        let what = match update.fill {
            _ if is_forced(update) => "the exchange closes a position by force in a symbol that is not configured",
            Some(_) => "a trade in a symbol that is not configured",
            None => return,
        };
        self.desk.reporter.notice(now, what, i64::try_from(update.exchange_id.0).unwrap_or(i64::MAX));
    }

    /// A fee counts in the margin asset only; in another asset it is named, because it cannot be added up.
    pub(super) fn with_fee(&mut self, now: Nanos, fill: Fill, in_margin_asset: bool) -> Fill {
        if in_margin_asset || fill.fee == 0 {
            return fill;
        }
        self.desk.reporter.notice(now, "fee was taken in another asset and is not counted", fill.fee);
        Fill { fee: 0, ..fill }
    }

    fn on_account_update(&mut self, now: Nanos, update: &AccountUpdate) {
        for (asset, balance) in &update.wallets {
            if *asset == *self.margin_asset {
                self.desk.reporter.send(Report::Wallet { balance: *balance, at: now });
            }
        }
        for position in &update.positions {
            let Some(symbol) = self.symbol(&position.symbol) else { continue };
            if position.hedged {
                self.fail(now, "the account is in hedge mode: switch it to one-way mode");
                continue;
            }
            let report = self.desk.positions.claimed(now, symbol, position.qty, position.entry);
            self.desk.adopt_position(report);
        }
        self.desk.contradicted |= update.more;
    }
}

fn is_forced(update: &OrderUpdate<'_>) -> bool {
    LIQUIDATIONS.iter().any(|prefix| update.client.starts_with(prefix))
}

/// Client order ids by which the exchange closes positions itself.
const LIQUIDATIONS: [&str; 3] = ["autoclose-", "adl_autoclose", "settlement_autoclose-"];
