//! Markets, scripts and rules made up at random.

use optiflow_base::money::{Notional, Price, Side};
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::latency::{Histogram, Latency, RoundTrips};
use optiflow_sim::replay::local::Order;
use optiflow_sim::replay::orders::{OrderKind, TimeInForce};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::rows::{Kind, MarketRow, Row, arrange};
use optiflow_sim::replay::script::{Action, Step};
use optiflow_sim::replay::terms::{Margin, SelfTrade, Terms};
use proptest::prelude::*;

use super::{MILLI, config, scale};

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

/// A market that is mostly sane: bids below, asks above, trades and crossings in between, delays of every size.
pub fn rows() -> impl Strategy<Value = Vec<Row>> {
    let kind = prop_oneof![
        8 => Just(Kind::Depth),
        4 => Just(Kind::Trade),
        1 => Just(Kind::Top),
        1 => Just(Kind::Clear),
        1 => Just(Kind::Mark),
        1 => Just(Kind::Funding),
    ];
    // Now and then long enough for a whole second to pass, when margin is looked at.
    let gap = prop_oneof![15 => 0i64..40, 1 => 0i64..3_000];
    let row = (kind, side(), gap, 1i64..30, -3i32..12, 0i64..12);
    prop::collection::vec(row, 1..120).prop_map(|steps| {
        let mut now = 1_000 * MILLI;
        let events: Vec<MarketRow> = steps
            .into_iter()
            .map(|(kind, side, gap, delay, distance, parts)| {
                now += gap * MILLI / 4;
                let tick = if side == Side::Buy { 1_000 - distance } else { 1_001 + distance };
                let parts = if kind == Kind::Trade { parts + 1 } else { parts };
                let local_ns = now + delay * MILLI;
                match kind {
                    Kind::Mark => {
                        let price = Price::from_units(scale().price(tick).units() + 12_345);
                        return MarketRow::mark(now, local_ns, price);
                    }
                    Kind::Funding => {
                        return MarketRow::funding(now, local_ns, (6 - parts as i32) * 1_000, now / MILLI + parts * 9);
                    }
                    Kind::Depth
                    | Kind::Snapshot
                    | Kind::Top
                    | Kind::Trade
                    | Kind::Clear
                    | Kind::ClearBoth
                    | Kind::Index => {}
                }
                MarketRow { kind, side, exchange_ns: now, local_ns, tick, parts }
            })
            .collect();
        arrange(&events).unwrap()
    })
}

fn action() -> impl Strategy<Value = Action> {
    let time_in_force =
        prop_oneof![Just(TimeInForce::Gtc), Just(TimeInForce::Gtx), Just(TimeInForce::Ioc), Just(TimeInForce::Fok)];
    let self_trade = prop_oneof![
        3 => Just(SelfTrade::None),
        1 => Just(SelfTrade::ExpireTaker),
        1 => Just(SelfTrade::ExpireMaker),
        1 => Just(SelfTrade::ExpireBoth),
    ];
    let kind = prop_oneof![9 => Just(OrderKind::Limit), 1 => Just(OrderKind::Market)];
    prop_oneof![
        6 => (1u64..12, side(), kind, time_in_force, 990i32..1_012, 1i64..9, prop::bool::weighted(0.2), self_trade).prop_map(
            |(id, side, kind, time_in_force, tick, parts, reduce_only, self_trade)| {
                let order = Order::limit(id, side, time_in_force, tick, parts);
                Action::Submit(Order { kind, reduce_only, self_trade: Some(self_trade), ..order })
            }
        ),
        2 => (1u64..12).prop_map(|id| Action::Cancel { id }),
        2 => (1u64..12, 990i32..1_012, 1i64..9).prop_map(|(id, tick, parts)| Action::Modify { id, tick, parts }),
        1 => Just(Action::Clear),
    ]
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0i64..30, action()), 1..40).prop_map(|steps| {
        let mut at = 1_000 * MILLI;
        steps
            .into_iter()
            .map(|(gap, action)| {
                at += gap * MILLI;
                Step { at, action }
            })
            .collect()
    })
}

pub fn rules() -> impl Strategy<Value = ReplayConfig> {
    let queue = prop_oneof![
        Just(QueueModel::RiskAverse),
        Just(QueueModel::Log),
        Just(QueueModel::Log2),
        Just(QueueModel::Power(2.0)),
        Just(QueueModel::Power2(2.0)),
        Just(QueueModel::Power3(3.0)),
    ];
    (queue, any::<bool>(), any::<bool>(), terms()).prop_map(|(queue, partial_fills, compatible, terms)| ReplayConfig {
        queue,
        partial_fills,
        compatible,
        terms,
        ..config()
    })
}

/// Nothing asked, or much: a small wallet, few orders, large least values.
fn terms() -> impl Strategy<Value = Terms> {
    let margin = prop::option::of((1i128..300, 1u32..125).prop_map(|(hundredths, leverage)| Margin {
        wallet: Notional::from_units(hundredths * 1_000_000),
        leverage,
        liquidation_fee_ppm: 12_500,
    }));
    let asked = (0i128..50, 0u32..12, margin).prop_map(|(hundredths, orders, margin)| Terms {
        min_notional: Notional::from_units(hundredths * 1_000_000),
        orders_ten_seconds: orders,
        margin,
        ..Terms::default()
    });
    prop_oneof![Just(Terms::default()), asked]
}

/// Round trips of 0 to 39 ms.
pub fn drawn(seed: u64) -> Latency {
    let wide = Histogram::new((0..40).map(|milli| (milli * 1_000_000, milli + 1))).unwrap();
    Latency::drawn(RoundTrips { new: wide.clone(), cancel: wide.clone(), modify: wide }, seed)
}
