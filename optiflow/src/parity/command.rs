//! The command `parity`: database and capture → comparison → reports.
//!
//! Exit 0 when orders were compared, whatever came of it; 1 when files failed or nothing could be compared, 2 for a
//! wrong request. Runs on the main thread; the store reads ahead on one of its own.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::str::FromStr;

use optiflow_base::decimal::{DECIMALS, UNITS};
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_sim::replay::Scale;
use optiflow_storage::reader::history::StoredSymbol;
use optiflow_store::blocks::Blocks;

use super::capture::{self, Captured};
use super::compare::{Figures, Pair};
use super::market::Market;
use super::output::{MarketNote, Summary, table, write};
use super::page::page;
use super::resend::{Resent, Rules, resend};
use super::session::{self, Own, Recorded};
use super::travel::Known;
use crate::cli::ParityArgs;
use crate::config::backtest::Queue;
use crate::import::store_problem;
use crate::problem::Problem;
use crate::say::{out, say};

/// Which queue models to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Queues {
    /// All of them, exponents as usual.
    All,
    /// One.
    One(Queue),
}

impl FromStr for Queues {
    type Err = String;
    fn from_str(text: &str) -> Result<Queues, String> {
        if text == "all" { Ok(Queues::All) } else { text.parse().map(Queues::One) }
    }
}

impl Queues {
    fn models(&self) -> Vec<Queue> {
        match self {
            Queues::All => QUEUES_ALL.iter().filter_map(|text| text.parse().ok()).collect(),
            Queues::One(queue) => vec![queue.clone()],
        }
    }
}

/// Runs the command.
pub fn run(args: &ParityArgs) -> ExitCode {
    match parity(args) {
        Ok((_, line)) if args.json => out(&line),
        Ok((summary, _)) => out(format_args!("{summary}\nreports in {}", args.out.display())),
        Err(problem) => {
            say(format_args!("optiflow parity: {problem}"));
            return problem.exit_code();
        }
    }
    ExitCode::SUCCESS
}

/// A symbol of the session, ready to be simulated.
struct Book<'a> {
    orders: Vec<&'a Own>,
    scale: Scale,
    captured: Captured,
}

fn parity(args: &ParityArgs) -> Result<(Summary, String), Problem> {
    let recorded = session::read(&args.db, args.session)?;
    if recorded.orders.is_empty() {
        let session = recorded.session.id;
        return Err(Problem::Failed(format!("session {session} sent no order that could be sent again")));
    }
    let made = fs::create_dir_all(&args.out);
    made.map_err(|error| Problem::Failed(format!("making the folder {}: {error}", args.out.display())))?;
    let books = books(args, &recorded)?;
    let (maker_fee_ppm, taker_fee_ppm) = fees(args, &recorded.orders);
    let models = args.queue.models();
    let mut compared: Vec<(String, Vec<Pair<'_>>)> = Vec::new();
    let mut outside_capture = 0;
    for queue in &models {
        let mut pairs = Vec::new();
        for book in &books {
            let rules = Rules {
                scale: book.scale,
                queue: queue.estimate().map_err(Problem::Usage)?,
                partial_fills: args.partial_fills.unwrap_or(true),
                maker_fee_ppm,
                taker_fee_ppm,
                delay_ns: args.delay,
            };
            let Resent { fills, mid } = simulate(book, &rules)?;
            let orders = book.orders.iter().zip(fills);
            pairs.extend(orders.filter_map(|(own, fills)| fills.map(|simulated| Pair { own, simulated, mid })));
        }
        outside_capture = recorded.orders.len() - pairs.len();
        compared.push((queue.text.clone(), pairs));
    }
    if compared.iter().all(|(_, pairs)| pairs.is_empty()) {
        return Err(Problem::Failed("no order falls into the time of the capture; is it of this session?".to_owned()));
    }
    let named = recorded.orders.iter().filter(|own| own.known_by == Known::Exchange).count();
    let summary = Summary {
        session: recorded.session.id,
        database: args.db.display().to_string(),
        capture: args.capture.display().to_string(),
        market: books.iter().map(note).collect(),
        orders: recorded.orders.len() - outside_capture,
        outside_capture,
        left_out: recorded.left_out,
        modifications: compared.first().map_or(0, |(_, pairs)| pairs.iter().map(|pair| pair.own.changes.len()).sum()),
        arrivals_named: named,
        arrivals_typical: recorded.orders.len() - named,
        travel: recorded.travel.clone(),
        delay_ns: args.delay,
        partial_fills: args.partial_fills.unwrap_or(true),
        maker_fee_ppm,
        taker_fee_ppm,
        models: compared.iter().map(|(queue, pairs)| Figures::of(queue, pairs)).collect(),
    };
    report(args, &summary, &compared).map(|line| (summary, line))
}

fn report(args: &ParityArgs, summary: &Summary, models: &[(String, Vec<Pair<'_>>)]) -> Result<String, Problem> {
    let failed = |error| Problem::Failed(format!("writing the summary: {error}"));
    write(&args.out, "parity.csv", &table(models))?;
    write(&args.out, "parity.html", &page(summary, models))?;
    write(&args.out, "summary.json", &serde_json::to_string_pretty(summary).map_err(failed)?)?;
    serde_json::to_string(summary).map_err(failed)
}

/// The symbols that were traded, each with its market.
fn books<'a>(args: &ParityArgs, recorded: &'a Recorded) -> Result<Vec<Book<'a>>, Problem> {
    let mut by_symbol: BTreeMap<&str, Vec<&Own>> = BTreeMap::new();
    for own in &recorded.orders {
        by_symbol.entry(&own.sent.symbol).or_default().push(own);
    }
    let span = (recorded.session.started, recorded.last);
    let book = |(symbol, orders): (&str, Vec<&'a Own>)| {
        let known = recorded.symbols.iter().find(|known| known.name == symbol);
        let scale = scale(args, symbol, known)?;
        let captured = capture::gather(&args.capture, symbol, span, &args.out)?;
        Ok(Book { orders, scale, captured })
    };
    by_symbol.into_iter().map(book).collect()
}

fn simulate(book: &Book<'_>, rules: &Rules) -> Result<Resent, Problem> {
    let stored =
        Blocks::open(std::slice::from_ref(&book.captured.store), None).map_err(|error| store_problem(&error))?;
    resend(&book.orders, Market::new(stored, book.scale), rules)
}

/// The grid on which the session wrote its numbers, unless it is given.
fn scale(args: &ParityArgs, symbol: &str, known: Option<&StoredSymbol>) -> Result<Scale, Problem> {
    let unit = |decimals: u32| 10_i64.pow(DECIMALS as u32 - decimals.min(DECIMALS as u32));
    let missing = || Problem::Usage(format!("the database does not know the grid of {symbol}; give --tick and --lot"));
    let tick = args.tick.or_else(|| known.map(|known| Price::from_units(unit(known.price_decimals))));
    let lot = args.lot.or_else(|| known.map(|known| Qty::from_units(unit(known.qty_decimals))));
    let (tick, lot) = (tick.ok_or_else(missing)?, lot.ok_or_else(missing)?);
    // Of coins of which billions are displayed, parts of 10⁻⁸ are too fine; such trade in whole coins.
    let coarse = lot.units() >= UNITS && lot.units() % COARSE_PARTS_PER_LOT == 0;
    let scale =
        if coarse { Scale { tick, lot, parts_per_lot: COARSE_PARTS_PER_LOT } } else { Scale::finest(tick, lot) };
    scale.check().map_err(|error| Problem::Usage(error.to_string()))?;
    Ok(scale)
}

/// Fees as given, or as the session paid them, or as usual.
fn fees(args: &ParityArgs, orders: &[Own]) -> (i64, i64) {
    let paid = |maker: bool| {
        let pure = orders
            .iter()
            .map(|own| &own.real)
            .filter(|real| !real.qty.is_zero() && real.maker == if maker { real.qty } else { Qty::ZERO });
        let (fee, value) =
            pure.fold((Notional::ZERO, Notional::ZERO), |(fee, value), real| (fee + real.fee, value + real.value));
        (value > Notional::ZERO).then(|| (fee.as_f64() / value.as_f64() * 1e6).round() as i64)
    };
    let maker = args.maker_fee.or_else(|| paid(true)).unwrap_or(MAKER_FEE_PPM_USUAL);
    (maker, args.taker_fee.or_else(|| paid(false)).unwrap_or(TAKER_FEE_PPM_USUAL))
}

fn note(book: &Book<'_>) -> MarketNote {
    let Captured { files, report, .. } = &book.captured;
    let symbol = book.orders.first().map_or(String::new(), |own| own.sent.symbol.clone());
    MarketNote { symbol, files: files.len(), rows: report.rows, gaps: report.gaps }
}

/// What `--queue all` compares.
const QUEUES_ALL: [&str; 6] = ["risk-averse", "log", "log2", "power:3", "power2:3", "power3:3"];
/// Binance's regular tier.
const MAKER_FEE_PPM_USUAL: i64 = 200;
/// Binance's regular tier.
const TAKER_FEE_PPM_USUAL: i64 = 500;
const COARSE_PARTS_PER_LOT: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_model_of_all_is_one_that_backtests_know() {
        assert_eq!(Queues::All.models().len(), QUEUES_ALL.len());
        assert_eq!("all".parse(), Ok(Queues::All));
        assert!("fast".parse::<Queues>().is_err());
    }
}
