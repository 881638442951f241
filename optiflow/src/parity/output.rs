//! What a parity run leaves behind: parity.csv, summary.json, parity.html, and the words on the terminal.

use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use optiflow_base::money::Qty;
use optiflow_base::order::{OrderKind, TimeInForce};
use serde::Serialize;

use super::compare::{Figures, Pair};
use super::session::LeftOut;
use super::travel::{Known, Travel};
use crate::problem::Problem;

/// All that is said of a run; the fields are those of summary.json.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Number of the session.
    pub session: i64,
    /// The database.
    pub database: String,
    /// The capture.
    pub capture: String,
    /// What was imported of it, by symbol.
    pub market: Vec<MarketNote>,
    /// Orders sent again.
    pub orders: usize,
    /// Orders from before the first snapshot of the capture, or after its end.
    pub outside_capture: usize,
    /// Orders that were not sent again.
    pub left_out: LeftOut,
    /// Modifications of them that were sent again.
    pub modifications: usize,
    /// Moments of arrival that the exchange named.
    pub arrivals_named: usize,
    /// Moments of arrival from the typical travel.
    pub arrivals_typical: usize,
    /// What requests took.
    pub travel: Travel,
    /// Added to every moment, ns.
    pub delay_ns: i64,
    /// Resting orders filled piece by piece?
    pub partial_fills: bool,
    /// Fee of a maker's fill, ppm.
    pub maker_fee_ppm: i64,
    /// Fee of a taker's fill, ppm.
    pub taker_fee_ppm: i64,
    /// Figures by queue model.
    pub models: Vec<Figures>,
}

/// What was imported of a symbol.
#[derive(Clone, Debug, Serialize)]
pub struct MarketNote {
    /// Which.
    pub symbol: String,
    /// Files of the capture.
    pub files: usize,
    /// Rows.
    pub rows: u64,
    /// Breaks in the sequence of the book: what rested then was simulated on a wrong one.
    pub gaps: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { refused, unknown, modify_unknown } = self.left_out;
        writeln!(f, "session {} of {}, market of {}", self.session, self.database, self.capture)?;
        for MarketNote { symbol, files, rows, gaps } in &self.market {
            write!(f, "  {symbol:<10}{rows} rows of {files} files")?;
            writeln!(f, "{}", if *gaps > 0 { format!(", {gaps} GAPS in the book") } else { String::new() })?;
        }
        writeln!(
            f,
            "  orders    {} sent again, with {} modifications; left out: {refused} refused, {unknown} of unknown fate, {modify_unknown} with a modification of unknown fate, {} outside the capture",
            self.orders, self.modifications, self.outside_capture
        )?;
        writeln!(
            f,
            "  arrivals  {} named by the exchange, {} typical ({:.3} ms after sending)",
            self.arrivals_named,
            self.arrivals_typical,
            self.travel.typical_ns as f64 / 1e6
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:<12}{:>7}{:>7}{:>8}{:>7}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>12}",
            "queue", "orders", "same", "partly", "only", "only", "agree", "of", "by", "time", "time", "P&L"
        )?;
        writeln!(
            f,
            "{:<12}{:>7}{:>7}{:>8}{:>7}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>12}",
            "", "", "", "", "real", "simul.", "", "filled", "value", "p50 ms", "p99 ms", "difference"
        )?;
        for model in &self.models {
            let time = |of: fn(&super::compare::TimeError) -> i64| {
                model.fill_time_ms.as_ref().map_or("-".to_owned(), |times| of(times).to_string())
            };
            writeln!(
                f,
                "{:<12}{:>7}{:>7}{:>8}{:>7}{:>8}{:>7.1}%{:>8.1}%{:>8.1}%{:>9}{:>10}{:>12}",
                model.queue,
                model.orders,
                model.same,
                model.partly,
                model.only_real,
                model.only_simulated,
                100.0 * model.agreement,
                100.0 * model.agreement_of_filled,
                100.0 * model.agreement_by_value,
                time(|times| times.p50),
                time(|times| times.p99),
                model.profit_difference.map_or("-".to_owned(), |money| format!("{money:.4}"))
            )?;
        }
        Ok(())
    }
}

/// The rows of parity.csv, one an order and queue model.
pub fn table(models: &[(String, Vec<Pair<'_>>)]) -> String {
    let mut text = String::from(HEADER);
    for (queue, pairs) in models {
        for pair in pairs {
            // Writing to a String does not fail.
            let _ = row(&mut text, queue, pair);
        }
    }
    text
}

fn row(text: &mut String, queue: &str, pair: &Pair<'_>) -> fmt::Result {
    let Pair { own, simulated, .. } = pair;
    let (sent, real) = (&own.sent, &own.real);
    let kind = match sent.kind {
        OrderKind::Limit => "limit",
        OrderKind::Market => "market",
    };
    let known = match own.known_by {
        Known::Exchange => "exchange",
        Known::Typical => "typical",
    };
    let price = |price: Option<f64>| price.map_or(String::new(), |price| format!("{price:.8}"));
    let whole = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
    let difference: Qty = simulated.qty - real.qty;
    writeln!(
        text,
        "{},{},{},{kind},{},{},{},{queue},{},{known},{},{},{},{},{},{},{difference},{},{},{}",
        sent.client_id,
        sent.symbol,
        own.side(),
        tif(sent.time_in_force),
        sent.price,
        own.qty,
        own.arrival_ns,
        real.qty,
        price(real.price()),
        whole(real.first_ms),
        simulated.qty,
        price(simulated.price()),
        whole(simulated.first_ms),
        price(pair.price_difference()),
        whole(pair.time_difference()),
        pair.class().name(),
    )
}

const fn tif(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
        TimeInForce::Gtx => "gtx",
    }
}

/// Writes a file of the folder.
///
/// # Errors
/// When the disk refuses.
pub fn write(folder: &Path, name: &str, text: &str) -> Result<(), Problem> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|error| Problem::Failed(format!("writing {}: {error}", path.display())))
}

const HEADER: &str = "client_id,symbol,side,type,tif,price,qty,queue,arrival_ns,arrival_by,real_qty,real_price,\
real_first_ms,simulated_qty,simulated_price,simulated_first_ms,qty_difference,price_difference,time_difference_ms,class\n";
