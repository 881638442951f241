//! Latency and queue models as the oracle describes them.

use optiflow_sim::replay::latency::LatencyRow;
use optiflow_sim::replay::queue::QueueModel;

use super::Order;

/// How long messages travel: request and answer, or a table of measured ones.
#[derive(Clone, Debug)]
pub enum PeerLatency {
    Constant(i64, i64),
    Table(Vec<LatencyRow>),
}

impl PeerLatency {
    pub(super) fn entry(&self, now: i64) -> i64 {
        let rows = match self {
            PeerLatency::Constant(entry, _) => return *entry,
            PeerLatency::Table(rows) => rows,
        };
        let single = |row: &LatencyRow| {
            if row.exchange_ns <= 0 { row.request_ns - row.response_ns } else { row.exchange_ns - row.request_ns }
        };
        let (first, last) = (&rows[0], &rows[rows.len() - 1]);
        if now < first.request_ns {
            return single(first);
        }
        let pair = rows.windows(2).find(|pair| pair[0].request_ns <= now && now < pair[1].request_ns);
        let Some([low, high]) = pair else { return single(last) };
        let line = |from: i64, to: i64| {
            ((to - from) as f64 / (high.request_ns - low.request_ns) as f64 * (now - low.request_ns) as f64) as i64
                + from
        };
        if low.exchange_ns <= 0 || high.exchange_ns <= 0 {
            -line(low.response_ns - low.request_ns, high.response_ns - high.request_ns)
        } else {
            line(low.exchange_ns - low.request_ns, high.exchange_ns - high.request_ns)
        }
    }

    pub(super) fn response(&self, now: i64) -> i64 {
        let rows = match self {
            PeerLatency::Constant(_, response) => return *response,
            PeerLatency::Table(rows) => rows,
        };
        let single = |row: &LatencyRow| row.response_ns - row.exchange_ns;
        let (first, last) = (&rows[0], &rows[rows.len() - 1]);
        if now < first.exchange_ns {
            return single(first);
        }
        let pair = rows.windows(2).find(|pair| pair[0].exchange_ns <= now && now < pair[1].exchange_ns);
        let Some([low, high]) = pair else { return single(last) };
        let slope = (single(high) - single(low)) as f64 / (high.exchange_ns - low.exchange_ns) as f64;
        (slope * (now - low.exchange_ns) as f64) as i64 + single(low)
    }
}

/// The level changes from `before` to `after` around an order.
pub(super) fn moved(model: QueueModel, order: &mut Order, before: f64, after: f64) {
    let share: &dyn Fn(f64, f64) -> f64 = match model {
        QueueModel::RiskAverse => {
            order.front = order.front.min(after);
            return;
        }
        QueueModel::Log => &|front, back| (1.0 + back).ln() / ((1.0 + back).ln() + (1.0 + front).ln()),
        QueueModel::Log2 => &|front, back| (1.0 + back).ln() / (1.0 + (back + front)).ln(),
        QueueModel::Power(n) => &move |front: f64, back: f64| back.powf(n) / (back.powf(n) + front.powf(n)),
        QueueModel::Power2(n) => &move |front: f64, back: f64| back.powf(n) / (back + front).powf(n),
        QueueModel::Power3(n) => &move |front: f64, back: f64| 1.0 - (front / (front + back)).powf(n),
    };
    let change = before - after - order.traded;
    order.traded = 0.0;
    if change < 0.0 {
        order.front = order.front.min(after);
        return;
    }
    let (front, back) = (order.front, before - order.front);
    let behind = share(front, back);
    let behind = if behind.is_infinite() { 1.0 } else { behind };
    order.front = (front - (1.0 - behind) * change + (back - behind * change).min(0.0)).min(after);
}
