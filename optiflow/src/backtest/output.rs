//! What a run leaves behind: orders.csv, fills.csv and equity.csv, written as it goes, summary.json and report.html.
//!
//! A file appears under its name only when the run is whole; until then it is `NAME.part`, which a run that fails or is
//! stopped removes. Prices and quantities are exact decimals, times are ns since 1970. A write that fails is kept and told
//! at the next [`Tape::check`].
//!
//! Whoever drives a run tells the tape in the words of `report::words`; for the replay core there are shorter ways
//! ([`Tape::answer`], [`Tape::look`], [`Tape::sample`], [`Tape::end`]). Tables of several symbols have one more column.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_sim::replay::local::Local;
use optiflow_sim::replay::orders::{Answer, LIQUIDATION, OrderKind, Status, Tells, TimeInForce};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::problem::Problem;
use crate::report::collect::Collector;
use crate::report::measures::Measures;
use crate::report::page::{Setup, page};
use crate::report::words::{Best, FillLine, OrderLine, Standing};

/// The tables of a run, and its report.
pub struct Tape {
    folder: PathBuf,
    names: Vec<String>,
    orders: Table,
    fills: Table,
    equity: Table,
    collector: Collector,
    shown: Vec<Option<Standing>>,
    unchanged: u32,
    last_answer_ns: i64,
    last_sample_ns: i64,
    stopped: Arc<AtomicBool>,
    failure: Option<io::Error>,
}

impl Tape {
    /// Begins the tables in `folder`, which is made where it is missing, for symbols of these names in the order of
    /// their ids. From here on an interrupt ends the run at its next check; a second one ends the program at once.
    pub fn create(folder: &Path, names: Vec<String>) -> Result<Tape, Problem> {
        fs::create_dir_all(folder).map_err(|error| trouble(folder, "make the folder", &error))?;
        let stopped = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let heard = flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopped))
                .and_then(|_| flag::register(signal, Arc::clone(&stopped)));
            heard.map_err(|error| Problem::Failed(format!("listening for interrupts: {error}")))?;
        }
        let more = if names.len() > 1 { ",symbol" } else { "" };
        let table = |name, header| Table::create(folder, name, &format!("{header}{more}"));
        Ok(Tape {
            folder: folder.to_owned(),
            orders: table("orders.csv", ORDERS_HEADER)?,
            fills: table("fills.csv", FILLS_HEADER)?,
            equity: table("equity.csv", EQUITY_HEADER)?,
            collector: Collector::new(&names),
            shown: vec![None; names.len()],
            names,
            unchanged: 0,
            last_answer_ns: i64::MIN,
            last_sample_ns: i64::MIN,
            stopped,
            failure: None,
        })
    }

    /// Writes an answer; `exec` is the price and quantity of the order's last execution, and whether it made.
    /// What the exchange orders by itself, to liquidate, is written, and is not among our orders.
    pub fn order(&mut self, line: &OrderLine, exec: (Price, Qty, bool)) {
        self.last_answer_ns = line.local_ns;
        if line.id != LIQUIDATION {
            self.collector.order(line);
        }
        let written = self.write_order(line, exec);
        self.keep(written);
    }

    /// Writes an execution, after its answer.
    pub fn fill(&mut self, line: &FillLine) {
        self.collector.fill(line);
        let written = self.write_fill(line);
        self.keep(written);
    }

    /// What listens for the report: tell it of looks and decisions, and ask it when it wants a look.
    pub const fn collector(&mut self) -> &mut Collector {
        &mut self.collector
    }

    /// When a look at the best prices is wanted next; `i64::MAX` for no time.
    #[inline]
    pub const fn next_due(&self) -> i64 {
        self.collector.next_due()
    }

    /// Writes where every symbol stands, unless nothing has changed for a while.
    pub fn standings(&mut self, now: i64, standings: &[Option<Standing>]) {
        assert!(standings.len() == self.shown.len(), "every symbol stands somewhere");
        self.unchanged = if self.shown == standings { self.unchanged + 1 } else { 0 };
        self.shown.copy_from_slice(standings);
        self.collector.sample(now, standings);
        if self.unchanged <= UNCHANGED_MAX {
            self.write_standings(now);
        }
    }

    /// Has nothing changed for so long that it is not written any more?
    pub const fn is_still(&self) -> bool {
        self.unchanged > UNCHANGED_MAX
    }

    /// Writes where every symbol stands at the end: after the last row of the market, and after the last answer.
    pub fn end_with(&mut self, market_ns: i64, standings: &[Option<Standing>]) {
        self.shown.copy_from_slice(standings);
        let now = market_ns.max(self.last_answer_ns);
        if now > self.last_sample_ns {
            self.collector.sample(now, standings);
            self.write_standings(now);
        }
    }

    /// Equity at the end of the curve, all symbols; `None` before a market had two sides.
    pub fn last_equity(&self) -> Option<Notional> {
        self.collector.equity()
    }

    /// What the run came to, as summary.json has it.
    pub fn measures(&self) -> Measures {
        Measures::of(&self.collector)
    }

    /// Did everything get written so far, and is the run wanted still?
    pub fn check(&mut self) -> Result<(), Problem> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Problem::Failed("stopped; nothing of this run is kept".to_owned()));
        }
        match self.failure.take() {
            Some(error) => Err(trouble(&self.folder, "write the tables", &error)),
            None => Ok(()),
        }
    }

    /// Gives the tables their names, and writes the summary and the report beside them.
    pub fn finish(mut self, summary: &str, setup: &Setup) -> Result<(), Problem> {
        self.check()?;
        let mut summary = Table::create(&self.folder, "summary.json", summary)?;
        let mut report = Table::create(&self.folder, "report.html", &page(&self.collector, setup))?;
        for table in [&mut self.orders, &mut self.fills, &mut self.equity, &mut summary, &mut report] {
            table.finish().map_err(|error| trouble(&table.path, "write", &error))?;
        }
        Ok(())
    }

    fn write_order(&mut self, line: &OrderLine, (exec_price, exec_qty, maker): (Price, Qty, bool)) -> io::Result<()> {
        let OrderLine { local_ns, exchange_ns, id, price, qty, leaves, .. } = line;
        write!(
            self.orders.writer,
            "{local_ns},{exchange_ns},{id},{},{},{},{},{},{price},{qty},{leaves},{exec_price},{exec_qty},{maker},{}",
            side(line.side),
            kind(line.kind),
            time_in_force(line.time_in_force),
            tells(line.tells),
            status(line.status),
            line.reason.name(),
        )?;
        end_row(&mut self.orders, &self.names, line.symbol)
    }

    fn write_fill(&mut self, line: &FillLine) -> io::Result<()> {
        let FillLine { local_ns, exchange_ns, id, price, qty, maker, fee, ahead, .. } = line;
        let side = side(line.side);
        write!(self.fills.writer, "{local_ns},{exchange_ns},{id},{side},{price},{qty},{maker},{fee},{ahead}")?;
        end_row(&mut self.fills, &self.names, line.symbol)
    }

    fn write_standings(&mut self, now: i64) {
        for (standing, symbol) in self.shown.iter().zip(0..) {
            let Some(Standing { mid, position, balance, fees, equity, funding }) = standing else { continue };
            self.last_sample_ns = now;
            let funding = funding.unwrap_or_default();
            let written = write!(self.equity.writer, "{now},{mid},{position},{balance},{fees},{equity},{funding}");
            let written = written.and_then(|()| end_row(&mut self.equity, &self.names, SymbolId(symbol)));
            if let Err(error) = written {
                self.failure.get_or_insert(error);
            }
        }
    }

    fn keep(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }
}

/// The only symbol of a replay.
const ONLY: SymbolId = SymbolId(0);

/// The same from the replay core, which runs one symbol.
impl Tape {
    /// Writes an answer, and the fill that it tells of.
    pub fn answer(&mut self, answer: &Answer, local: &Local) {
        let (image, scale, best) = (&answer.image, local.scale(), best(local));
        let exec = (scale.price(image.exec_tick), scale.qty(image.exec_qty), image.maker);
        // What the exchange sends back of a cancel carries the time of the order, not of the cancel.
        let asked = local.order(image.id).filter(|_| answer.tells == Tells::State);
        let line = OrderLine {
            symbol: ONLY,
            id: image.id,
            side: image.side,
            kind: image.kind,
            time_in_force: image.time_in_force,
            tells: answer.tells,
            status: image.status,
            reason: answer.reason,
            price: scale.price(image.tick),
            qty: scale.qty(image.qty),
            leaves: scale.qty(image.leaves),
            ahead: scale.qty(image.ahead),
            requested_ns: asked.map_or(image.requested_ns, |order| order.image.requested_ns),
            exchange_ns: image.exchange_ns,
            local_ns: answer.local_ns,
            best,
        };
        self.order(&line, exec);
        if answer.tells == Tells::Fill {
            let (price, qty, maker) = exec;
            let OrderLine { symbol, id, side, ahead, exchange_ns, local_ns, .. } = line;
            let fee = local.ledger().fee(image);
            let mid = best.map(|best| best.mid()).or_else(|| self.last_mid());
            self.fill(&FillLine { symbol, id, side, price, qty, maker, fee, ahead, exchange_ns, local_ns, mid });
        }
    }

    /// Looks at the best prices, for markouts and for what our orders touch.
    #[inline]
    pub fn look(&mut self, now: i64, local: &Local) {
        self.collector.look(ONLY, best(local));
        self.collector.settle(now);
    }

    /// The strategy asked for something at `now`, on the prices looked at last.
    pub fn decided(&mut self, now: i64) {
        self.collector.decided(ONLY, now);
    }

    /// Writes where the run stands, unless nothing has changed for a while.
    pub fn sample(&mut self, now: i64, local: &Local) {
        let standing = self.standing(local);
        self.standings(now, &[standing]);
    }

    /// Writes where the run stands at its end.
    pub fn end(&mut self, market_ns: i64, local: &Local) {
        let standing = self.standing(local);
        self.end_with(market_ns, &[standing]);
    }

    fn standing(&self, local: &Local) -> Option<Standing> {
        let mid = best(local).map(|best| best.mid()).or_else(|| self.last_mid())?;
        let ledger = local.ledger();
        let funding = Some(ledger.funding()).filter(|funding| !funding.is_zero());
        Some(Standing::new(mid, ledger.position(), ledger.cash(), ledger.fees(), funding))
    }

    fn last_mid(&self) -> Option<Price> {
        self.shown.first().copied().flatten().map(|standing| standing.mid)
    }
}

fn best(local: &Local) -> Option<Best> {
    let price = |side| local.book().best(side).map(|tick| local.scale().price(tick));
    Some(Best { bid: price(Side::Buy)?, ask: price(Side::Sell)? })
}

fn end_row(table: &mut Table, names: &[String], symbol: SymbolId) -> io::Result<()> {
    match names {
        [_] => writeln!(table.writer),
        names => writeln!(table.writer, ",{}", names[symbol.index()]),
    }
}

/// One file, under a name of its own until it is whole.
struct Table {
    path: PathBuf,
    part: PathBuf,
    writer: BufWriter<File>,
    is_whole: bool,
}

impl Table {
    fn create(folder: &Path, name: &str, header: &str) -> Result<Table, Problem> {
        let (path, part) = (folder.join(name), folder.join(format!("{name}.part")));
        let file = File::create(&part).map_err(|error| trouble(&part, "create", &error))?;
        let mut table = Table { path, part, writer: BufWriter::new(file), is_whole: false };
        writeln!(table.writer, "{header}").map_err(|error| trouble(&table.part, "write", &error))?;
        Ok(table)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        fs::rename(&self.part, &self.path)?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.is_whole {
            // The run has failed already; what cannot be removed stays under a name that says what it is.
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn trouble(path: &Path, doing: &str, error: &io::Error) -> Problem {
    Problem::Failed(format!("{}: cannot {doing}: {error}; check the path, its rights and the disk", path.display()))
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit => "LIMIT",
        OrderKind::Market => "MARKET",
    }
}

const fn time_in_force(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
        TimeInForce::Gtx => "GTX",
    }
}

const fn tells(tells: Tells) -> &'static str {
    match tells {
        Tells::State => "STATE",
        Tells::Fill => "FILL",
        Tells::Rejected => "REJECTED",
    }
}

const fn status(status: Status) -> &'static str {
    match status {
        Status::None => "NONE",
        Status::New => "NEW",
        Status::PartiallyFilled => "PARTIALLY_FILLED",
        Status::Filled => "FILLED",
        Status::Canceled => "CANCELED",
        Status::Expired => "EXPIRED",
    }
}

const ORDERS_HEADER: &str =
    "local_ts,exch_ts,order_id,side,type,tif,answer,status,price,qty,leaves,exec_price,exec_qty,maker,reason";
const FILLS_HEADER: &str = "local_ts,exch_ts,order_id,side,price,qty,maker,fee,queue_ahead_at_submit";
const EQUITY_HEADER: &str = "local_ts,mid,position,balance,fees,equity,funding";
/// Rows of the equity curve in which nothing changes before they are left out: a gap in the data is not a table.
const UNCHANGED_MAX: u32 = 60;
