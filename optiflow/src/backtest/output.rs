//! The tables of a run, written as it goes: orders.csv, fills.csv, equity.csv, and summary.json at the end.
//!
//! A file appears under its name only when the run is whole; until then it is `NAME.part`, which a failed run removes.
//! Prices and quantities are exact decimals, times are ns since 1970. A write that fails is kept and told at the next
//! [`Tape::check`].

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_sim::replay::Scale;
use optiflow_sim::replay::local::Local;
use optiflow_sim::replay::orders::{Answer, OrderKind, Status, Tells, TimeInForce};

use crate::problem::Problem;

/// The tables of a run.
pub struct Tape {
    folder: PathBuf,
    scale: Scale,
    orders: Table,
    fills: Table,
    equity: Table,
    shown: Option<Standing>,
    unchanged: u32,
    last_answer_ns: i64,
    last_sample_ns: i64,
    failure: Option<io::Error>,
}

/// What a row of the equity curve says, but for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Half way between the best prices; the last known where a side is empty.
    pub mid: Price,
    /// Signed position.
    pub position: Qty,
    /// Received minus paid, before fees.
    pub balance: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Balance, less fees, and the position at mid.
    pub equity: Notional,
}

impl Tape {
    /// Begins the tables in `folder`, which is made where it is missing.
    pub fn create(folder: &Path, scale: Scale) -> Result<Tape, Problem> {
        fs::create_dir_all(folder).map_err(|error| trouble(folder, "make the folder", &error))?;
        Ok(Tape {
            folder: folder.to_owned(),
            scale,
            orders: Table::create(folder, "orders.csv", ORDERS_HEADER)?,
            fills: Table::create(folder, "fills.csv", FILLS_HEADER)?,
            equity: Table::create(folder, "equity.csv", EQUITY_HEADER)?,
            shown: None,
            unchanged: 0,
            last_answer_ns: i64::MIN,
            last_sample_ns: i64::MIN,
            failure: None,
        })
    }

    /// Writes an answer, and the fill that it tells of.
    pub fn answer(&mut self, answer: &Answer, local: &Local) {
        self.last_answer_ns = answer.local_ns;
        let written = self.write_answer(answer, local);
        self.keep(written);
    }

    /// Writes where the run stands, unless nothing has changed for a while.
    pub fn sample(&mut self, now: i64, local: &Local) {
        let standing = self.standing(local);
        self.unchanged = if self.shown == standing { self.unchanged + 1 } else { 0 };
        self.shown = standing;
        if self.unchanged <= UNCHANGED_MAX {
            self.write_standing(now);
        }
    }

    /// Writes where the run stands at its end: after the last row of the market, and after the last answer.
    pub fn end(&mut self, market_ns: i64, local: &Local) {
        self.shown = self.standing(local);
        let now = market_ns.max(self.last_answer_ns);
        if now > self.last_sample_ns {
            self.write_standing(now);
        }
    }

    /// The last row of the equity curve; `None` before the market had two sides.
    pub const fn last(&self) -> Option<&Standing> {
        self.shown.as_ref()
    }

    /// Did everything get written so far?
    pub fn check(&mut self) -> Result<(), Problem> {
        match self.failure.take() {
            Some(error) => Err(trouble(&self.folder, "write the tables", &error)),
            None => Ok(()),
        }
    }

    /// Gives the tables their names, and writes the summary beside them.
    pub fn finish(mut self, summary: &str) -> Result<(), Problem> {
        self.check()?;
        let mut table = Table::create(&self.folder, "summary.json", summary)?;
        for table in [&mut self.orders, &mut self.fills, &mut self.equity, &mut table] {
            table.finish().map_err(|error| trouble(&table.path, "write", &error))?;
        }
        Ok(())
    }

    fn standing(&self, local: &Local) -> Option<Standing> {
        let book = local.book();
        let best = |side| book.best(side).map(|tick| self.scale.price(tick).units());
        let mid = match (best(Side::Buy), best(Side::Sell)) {
            (Some(bid), Some(ask)) => Price::from_units(bid + (ask - bid) / 2),
            (Some(_), None) | (None, Some(_)) | (None, None) => self.shown?.mid,
        };
        let ledger = local.ledger();
        let (position, balance, fees) = (ledger.position(), ledger.cash(), ledger.fees());
        Some(Standing { mid, position, balance, fees, equity: balance - fees + mid.times(position) })
    }

    fn write_answer(&mut self, answer: &Answer, local: &Local) -> io::Result<()> {
        let (image, scale) = (&answer.image, &self.scale);
        let (local_ns, exchange_ns, id, side) = (answer.local_ns, image.exchange_ns, image.id, side(image.side));
        let (exec_price, exec_qty) = (scale.price(image.exec_tick), scale.qty(image.exec_qty));
        writeln!(
            self.orders.writer,
            "{local_ns},{exchange_ns},{id},{side},{},{},{},{},{},{},{},{exec_price},{exec_qty},{}",
            kind(image.kind),
            time_in_force(image.time_in_force),
            tells(answer.tells),
            status(image.status),
            scale.price(image.tick),
            scale.qty(image.qty),
            scale.qty(image.leaves),
            image.maker,
        )?;
        if answer.tells == Tells::Fill {
            let (maker, fee, ahead) = (image.maker, local.ledger().fee(image), scale.qty(image.ahead));
            writeln!(
                self.fills.writer,
                "{local_ns},{exchange_ns},{id},{side},{exec_price},{exec_qty},{maker},{fee},{ahead}"
            )?;
        }
        Ok(())
    }

    fn write_standing(&mut self, now: i64) {
        let Some(Standing { mid, position, balance, fees, equity }) = self.shown else { return };
        self.last_sample_ns = now;
        let written = writeln!(self.equity.writer, "{now},{mid},{position},{balance},{fees},{equity}");
        self.keep(written);
    }

    fn keep(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
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
    "local_ts,exch_ts,order_id,side,type,tif,answer,status,price,qty,leaves,exec_price,exec_qty,maker";
const FILLS_HEADER: &str = "local_ts,exch_ts,order_id,side,price,qty,maker,fee,queue_ahead_at_submit";
const EQUITY_HEADER: &str = "local_ts,mid,position,balance,fees,equity";
/// Rows of the equity curve in which nothing changes before they are left out: a gap in the data is not a table.
const UNCHANGED_MAX: u32 = 60;
