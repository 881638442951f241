//! The closing sums of a session, as plain values: shown as text by `report`, written as JSON by `serde`.
//!
//! Money is written as decimal text in JSON: a JSON number may lose digits. Decides nothing, reads nothing.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use optiflow_base::money::{Notional, Price, Qty};
use serde::{Serialize, Serializer};

/// A session in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Row of `sessions`.
    pub session: i64,
    /// High half of its order ids.
    pub epoch: u32,
    /// `sim`, `testnet` or `live`.
    pub mode: String,
    /// Which exchange.
    pub venue: String,
    /// Version of the program.
    pub version: String,
    /// Asset of all money below.
    pub margin_asset: String,
    /// The database file.
    #[serde(serialize_with = "path_text")]
    pub database: PathBuf,
    /// When it began, nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// When these sums were taken.
    pub until_ns: u64,
    /// How it ended; `None` while it runs.
    pub outcome: Option<String>,
    /// Orders by what became of them.
    pub orders: OrderCounts,
    /// Fills.
    pub fills: FillCounts,
    /// Profit of all symbols.
    pub profit: Profit,
    /// Wallet balance as the exchange last stated it.
    #[serde(serialize_with = "maybe_text")]
    pub wallet: Option<Notional>,
    /// Each symbol.
    pub symbols: Vec<SymbolSummary>,
    /// Each span that was measured.
    pub latencies: Vec<SpanSummary>,
    /// Notices and how often each came.
    pub notices: Vec<NoticeCount>,
    /// Log events that rooms dropped because storage could not keep up.
    pub log_events_lost: u64,
    /// Rows that did not reach the file.
    pub rows_lost: u64,
    /// Why the file is incomplete, if it is.
    pub failure: Option<String>,
}

/// Orders by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderCounts {
    /// Strategies wanted to place.
    pub intended: u64,
    /// Strategies wanted to cancel.
    pub cancels_intended: u64,
    /// Risk refused, orders and cancels.
    pub denied: u64,
    /// Handed to the socket.
    pub sent: u64,
    /// Known to the exchange.
    pub accepted: u64,
    /// Refused by the exchange.
    pub refused: u64,
    /// Filled completely.
    pub filled: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Expired.
    pub expired: u64,
    /// Times that an order's fate became unknown.
    pub doubted: u64,
    /// Believed open now: sent and not ended, those of unknown fate included.
    pub open: u64,
    /// Of unknown fate now.
    pub unknown: u64,
    /// Why risk refused, and how often.
    pub denials: BTreeMap<&'static str, u64>,
}

/// Fills by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FillCounts {
    /// Fills booked.
    pub fills: u64,
    /// We were the maker.
    pub maker: u64,
    /// We were the taker.
    pub taker: u64,
    /// Reports of a fill that was booked before; ignored.
    pub duplicates: u64,
    /// Fills of orders whose side is not known: stored, but in no profit.
    pub unbooked: u64,
}

/// What trading brought, in the margin asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profit {
    /// Price × quantity of all fills.
    #[serde(serialize_with = "text")]
    pub volume: Notional,
    /// Fees paid; negative when rebates were larger.
    #[serde(serialize_with = "text")]
    pub fees: Notional,
    /// Profit of what was closed, before fees.
    #[serde(serialize_with = "text")]
    pub realised: Notional,
    /// Realised less fees.
    #[serde(serialize_with = "text")]
    pub net: Notional,
    /// Profit of what is held, at the last mark (or mid), before fees.
    #[serde(serialize_with = "text")]
    pub unrealised: Notional,
}

/// One symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SymbolSummary {
    /// Venue name.
    pub name: String,
    /// Position by our fills.
    #[serde(serialize_with = "text")]
    pub position: Qty,
    /// Position as the exchange last stated it; `None` when it never did.
    #[serde(serialize_with = "maybe_text")]
    pub exchange_position: Option<Qty>,
    /// Average entry price, rounded down; zero when flat.
    #[serde(serialize_with = "text")]
    pub entry: Price,
    /// Last mark, or mid where no mark is known; zero when neither was sampled.
    #[serde(serialize_with = "text")]
    pub last: Price,
    /// Quantity traded.
    #[serde(serialize_with = "text")]
    pub traded: Qty,
    /// Fills booked.
    pub fills: u64,
    /// What it brought.
    pub profit: Profit,
}

/// One span's latencies, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SpanSummary {
    /// Its name.
    pub span: &'static str,
    /// How many were measured.
    pub count: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

/// How often a notice came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NoticeCount {
    /// Which room said it.
    pub room: &'static str,
    /// What it said.
    pub what: &'static str,
    /// How often.
    pub count: u64,
}

impl Profit {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Profit) -> Profit {
        Profit {
            volume: self.volume + other.volume,
            fees: self.fees + other.fees,
            realised: self.realised + other.realised,
            net: self.net + other.net,
            unrealised: self.unrealised + other.unrealised,
        }
    }
}

fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A path need not be text: what is none of it shows as the mark for that.
fn path_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn maybe_text<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
