//! The figures of the report as fields of summary.json: numbers for reading by machine, null where a run is too short
//! or too empty for one. The exact decimals are in the tables and on the page.

use serde::Serialize;

use super::collect::Collector;
use super::html;
use super::markouts::HORIZONS;
use super::orders::Fates;
use super::spans::Spans;
use optiflow_base::money::Side;

/// What the report adds to a summary.
#[derive(Clone, Debug, Serialize)]
pub struct Measures {
    /// Realised at average cost, before fees.
    pub realised: f64,
    /// The open position at the last mid, less what it cost.
    pub unrealised: f64,
    /// Funding received less paid; null where there was none.
    pub funding: Option<f64>,
    /// The deepest fall of the equity from an earlier peak, a sample a second.
    pub max_drawdown: f64,
    /// A year; null of a run shorter than a day.
    pub sharpe: Option<f64>,
    /// One standard error of it.
    pub sharpe_error: Option<f64>,
    /// A year.
    pub sortino: Option<f64>,
    /// Null of a run shorter than 30 days.
    pub calmar: Option<f64>,
    /// Period of the profits that these ratios are of.
    pub ratio_period: Option<&'static str>,
    /// Fills of resting orders, of all.
    pub maker_share: Option<f64>,
    /// Orders that filled at least in part, of those placed.
    pub fill_ratio: Option<f64>,
    /// What became of the orders.
    pub orders: OrderCounts,
    /// From asking to the exchange, and from the exchange to the answer.
    pub latencies: Latencies,
    /// How the mid went after fills: all, and by kind.
    pub markouts: Vec<MarkoutRow>,
}

/// What became of the orders.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OrderCounts {
    /// Sent and answered.
    pub placed: u64,
    /// Filled, or seen at the touch.
    pub touched: u64,
    /// Filled wholly.
    pub filled: u64,
    /// Filled in part and then ended or still open.
    pub partly: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Ended without coming to rest.
    pub expired: u64,
    /// Refused, or lost on the way.
    pub refused: u64,
    /// Open at the end.
    pub open: u64,
}

/// Both ways, ns.
#[derive(Clone, Debug, Serialize)]
pub struct Latencies {
    /// From asking to the exchange.
    pub entry_ns: SpanRow,
    /// From the exchange to the answer.
    pub response_ns: SpanRow,
}

/// Percentiles, within a thousandth.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SpanRow {
    /// How many.
    pub n: u64,
    /// Half took no longer.
    pub p50: Option<u64>,
    /// 99 of 100 took no longer.
    pub p99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
}

/// Fills of one kind at one horizon.
#[derive(Clone, Debug, Serialize)]
pub struct MarkoutRow {
    /// `all`, `maker_buy`, `maker_sell`, `taker_buy`, `taker_sell`.
    pub fills: &'static str,
    /// Time after the fill was seen, ns.
    pub horizon_ns: i64,
    /// Fills measured.
    pub n: u64,
    /// Fills whose moment passed unseen; where they are more than one in ten, the rest is null: it would be no fair sample.
    pub missed: u64,
    /// Mean move of the mid from the fill's price, in our favour, bps.
    pub mean_bps: Option<f64>,
    /// Standard error of the mean.
    pub error_bps: Option<f64>,
    /// The sum in money, exact.
    pub sum: Option<String>,
}

impl Measures {
    /// Of all that was collected.
    pub fn of(collector: &Collector) -> Measures {
        let (realised, unrealised) = collector.profit();
        let ratios = collector.returns.ratios();
        let (fills, makers) = collector.fills();
        let fates = collector.orders.fates(Side::Buy).with(collector.orders.fates(Side::Sell));
        Measures {
            realised: realised.as_f64(),
            unrealised: unrealised.as_f64(),
            funding: collector.funding().map(|funding| funding.as_f64()),
            max_drawdown: collector.returns.drawdown().deepest.as_f64(),
            sharpe: ratios.and_then(|ratios| ratios.sharpe),
            sharpe_error: ratios.filter(|ratios| ratios.sharpe.is_some()).map(|ratios| ratios.sharpe_error),
            sortino: ratios.and_then(|ratios| ratios.sortino),
            calmar: ratios.and_then(|ratios| ratios.calmar),
            ratio_period: ratios.map(|ratios| ratios.period),
            maker_share: (fills > 0).then(|| makers as f64 / fills as f64),
            fill_ratio: fates.fill_ratio(),
            orders: OrderCounts::of(&fates),
            latencies: Latencies {
                entry_ns: SpanRow::of(&collector.latency.entry),
                response_ns: SpanRow::of(&collector.latency.response),
            },
            markouts: markouts(collector),
        }
    }
}

impl OrderCounts {
    const fn of(fates: &Fates) -> OrderCounts {
        let Fates { placed, touched, filled, partly, cancelled, expired, refused, open, .. } = *fates;
        OrderCounts { placed, touched, filled, partly, cancelled, expired, refused, open }
    }
}

impl SpanRow {
    fn of(spans: &Spans) -> SpanRow {
        SpanRow { n: spans.count(), p50: spans.percentile(50.0), p99: spans.percentile(99.0), max: spans.max() }
    }
}

fn markouts(collector: &Collector) -> Vec<MarkoutRow> {
    let mut rows = Vec::with_capacity(GROUPS.len() * HORIZONS.len());
    for (fills, maker, side) in GROUPS {
        for (horizon, (horizon_ns, _)) in HORIZONS.into_iter().enumerate() {
            let mark = collector.markouts.at(horizon, |kind| {
                maker.is_none_or(|maker| kind.maker == maker) && side.is_none_or(|side| kind.side == side)
            });
            let sum = html::exact(mark.money.units()).replace(',', "").replace('\u{2212}', "-");
            let (n, missed) = (mark.bps.n(), mark.missed);
            let (mean_bps, error_bps, sum) = (mark.mean(), mark.error(), Some(sum).filter(|_| mark.is_fair()));
            rows.push(MarkoutRow { fills, horizon_ns, n, missed, mean_bps, error_bps, sum });
        }
    }
    rows
}

/// Kinds of fills: name, resting or taking, bought or sold.
const GROUPS: [(&str, Option<bool>, Option<Side>); 5] = [
    ("all", None, None),
    ("maker_buy", Some(true), Some(Side::Buy)),
    ("maker_sell", Some(true), Some(Side::Sell)),
    ("taker_buy", Some(false), Some(Side::Buy)),
    ("taker_sell", Some(false), Some(Side::Sell)),
];
