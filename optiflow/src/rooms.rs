//! Configuration + exchange → everything the rooms are built from: rules, fees, limits, clock, database.
//!
//! Once `opening.rs` has asked the questions that must be answered before the first order. Main thread. Trades nothing;
//! at the exchange it cancels only what `strays.rs` finds.

use std::time::Duration;

use optiflow_backtest::former::former;
use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::control::Pulse;
use optiflow_base::instrument::Instrument;
use optiflow_base::rates::RateLimits;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::strategies::echo::Echo;
use optiflow_engine::strategies::scalping_v1::ScalpingV1;
use optiflow_engine::strategy::Strategy;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::outcome;
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::setup::{self, Asker, START_PATIENCE, Wait};
use optiflow_oms::error::OmsError;
use optiflow_oms::former::Former;
use optiflow_oms::peace::Peace;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol};
use optiflow_storage::{SessionInfo, SessionSymbol, Storage, next_epoch};
use optiflow_wire::attempts::Attempts;
use optiflow_wire::limits::Limits;
use sha2::{Digest, Sha256};

use crate::config::{Config, FeedSettings, Mode, StrategyConfig};
use crate::opening::{self, Known};
use crate::pipeline::Rooms;
use crate::problem::Problem;
use crate::strays;
use crate::trade::Signals;
use crate::venue::Venue;

/// Asks the exchange what must be known, opens the database, and prepares every room. The client that asked comes back
/// too: it is the last resort when the pipeline is gone.
///
/// # Errors
/// Says what was being done and what to do now.
pub(crate) fn build(
    config: &Config,
    text: &str,
    venue: &Venue,
    clock: &RealClock,
    signals: &Signals,
    alone_since: Nanos,
) -> Result<(Rooms, RestClient), Problem> {
    let file = |error: optiflow_storage::StorageError| Problem::Usage(error.to_string());
    // Before the account may be touched: a file that cannot be used is no reason to have set a leverage.
    let epoch = next_epoch(&config.storage.path, clock.now()).map_err(file)?;
    let Known { rules, time, peace, mut rest, binary_hash } =
        opening::ask(config, venue, clock, MARGIN_ASSET, signals)?;
    let client = || opening::client(venue, &time, &peace).map_err(|error: OmsError| Problem::Failed(error.to_string()));
    let started = clock.now();
    let session = session(mode_name(config.mode), &venue.rest, text, started, epoch, &rules.instruments, binary_hash);
    // Before the session's own row is there.
    let former = former(&config.storage.path, &session).map_err(file)?;
    let mut pause = |wait: &Wait<'_>| opening::sleep_through(wait, signals);
    let mut asker = Asker::new(&mut rest, clock, &time, START_PATIENCE, epoch.into(), &mut pause);
    let window = REST_WINDOW.max(Duration::from_millis(config.oms.recv_window_ms.into()));
    let settled_at = alone_since + window + CLOCK_SLACK;
    strays::settle(&config.storage.path, &session, &mut asker, clock, settled_at)?;
    let storage = Storage::open(&config.storage.path, &session).map_err(file)?;
    let attempts = Attempts::new();
    let rooms = Rooms {
        feed: feed(config, venue, &rules.instruments, epoch, &attempts)?,
        engine: engine(config, &rules, epoch),
        risk: risk(config, &rules),
        oms: oms(config, venue, &rules, time.clone(), &peace, (former, alone_since), &attempts)?,
        storage,
        // The oms hears its own client's headers in the replies, the feed's through the peace.
        feed_rest: client()?.announcing(),
        oms_rest: client()?,
    };
    Ok((rooms, rest))
}

fn feed(
    config: &Config,
    venue: &Venue,
    instruments: &[Instrument],
    seed: u32,
    attempts: &Attempts,
) -> Result<FeedConfig, Problem> {
    let symbol = |one: &Instrument| FeedSymbol { id: one.symbol, name: one.name, tick_size: one.tick_size };
    let FeedSettings { depth, depth_silence, top_silence, trade_silence, mark_silence, .. } = &config.feed;
    Ok(FeedConfig {
        symbols: instruments.iter().map(symbol).collect(),
        public: venue.endpoint(&venue.streams)?,
        market: venue.endpoint(&venue.streams)?,
        depth_speed: depth.clone(),
        silence: Silence { depth: *depth_silence, top: *top_silence, trade: *trade_silence, mark: *mark_silence },
        // What risk would find too old to price by, decides nothing either.
        lag_max: config.risk.quote_age_max,
        limits: Limits::market().sharing(attempts),
        seed: seed.into(),
    })
}

pub(crate) fn engine(config: &Config, rules: &setup::Rules, epoch: u32) -> EngineConfig {
    let symbol = |(index, instrument): (usize, &Instrument)| EngineSymbol {
        instrument: *instrument,
        strategy: strategy(&config.symbols[index].strategy),
    };
    EngineConfig {
        symbols: rules.instruments.iter().enumerate().map(symbol).collect(),
        epoch,
        rates: rates(config, rules),
        sample_every: config.storage.signal_every,
        book_age_max: config.risk.quote_age_max,
        flow_window: config.feed.flow_window,
    }
}

fn strategy(config: &StrategyConfig) -> Box<dyn Strategy + Send> {
    match config {
        StrategyConfig::ScalpingV1(config) => Box::new(ScalpingV1::new(config.as_ref().clone())),
        StrategyConfig::Echo(config) => Box::new(Echo::new(*config)),
    }
}

/// Our rates, and where they are lower the exchange's, as exchangeInfo and the account's order limits told them.
fn rates(config: &Config, rules: &setup::Rules) -> RateLimits {
    RateLimits {
        orders_ten_seconds: config.risk.orders_ten_seconds.min(rules.orders.ten_seconds),
        orders_minute: config.risk.orders_minute.min(rules.orders.minute),
        weight_minute: config.risk.weight_minute.min(rules.weight_minute),
        reserve_percent: config.risk.reserve_percent,
    }
}

/// Our limits, and the exchange's where they are lower.
pub(crate) fn risk(config: &Config, rules: &setup::Rules) -> RiskConfig {
    let symbol = |(index, instrument): (usize, &Instrument)| {
        let limits = &config.symbols[index];
        RiskSymbol {
            instrument: *instrument,
            order_notional_max: limits.order_notional_max,
            position_notional_max: limits.position_notional_max,
            open_orders_max: limits.open_orders_max,
            price_band_ppm: limits.price_band_ppm,
        }
    };
    RiskConfig {
        symbols: rules.instruments.iter().enumerate().map(symbol).collect(),
        total: config.risk.total,
        is_lasting: outcome::is_lasting,
        rates: rates(config, rules),
        quote_age_max: config.risk.quote_age_max,
    }
}

fn oms(
    config: &Config,
    venue: &Venue,
    rules: &setup::Rules,
    time: ExchangeTime,
    peace: &Peace,
    (former, alone_since): (Former, Nanos),
    attempts: &Attempts,
) -> Result<OmsConfig, Problem> {
    let countdown = config.oms.countdown;
    peace.weight().set_limit(rates(config, rules).weight_minute);
    // The configuration was checked against its own limit; the exchange's may be lower.
    if let Some(fault) = countdown.fault(config.symbols.len(), rules.weight_minute) {
        return Err(Problem::Usage(format!("oms.heartbeat, oms.countdown: {fault}")));
    }
    Ok(OmsConfig {
        instruments: rules.instruments.clone(),
        ws_api: venue.endpoint(&venue.ws_api)?,
        private: venue.endpoint(&venue.streams)?,
        key: venue.key.clone(),
        time,
        margin_asset: MARGIN_ASSET.to_owned(),
        recv_window_ms: config.oms.recv_window_ms,
        reply_timeout: config.oms.reply_timeout,
        stop_timeout: config.oms.stop_timeout,
        limits: Limits::orders().sharing(attempts),
        seed: former.epoch.into(),
        guards: Guards {
            countdown,
            spare: true,
            storage: Some(Pulse::new()),
            peace: peace.clone(),
            former: Some(former),
            alone_since: Some(alone_since),
        },
    })
}

/// What is known of a session when it begins.
pub(crate) fn session(
    mode: &str,
    venue: &str,
    text: &str,
    started: Nanos,
    epoch: u32,
    instruments: &[Instrument],
    binary_hash: String,
) -> SessionInfo {
    SessionInfo {
        epoch,
        started,
        mode: mode.to_owned(),
        venue: venue.to_owned(),
        margin_asset: MARGIN_ASSET.to_owned(),
        config_hash: opening::hex(&Sha256::digest(text.as_bytes())),
        binary_hash,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        symbols: instruments.iter().map(SessionSymbol::of).collect(),
    }
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Sim => "sim",
        Mode::Paper => "paper",
        Mode::Testnet => "testnet",
        Mode::Live => "live",
    }
}

/// A signed REST call is good for this long; the configured window holds for the order socket.
const REST_WINDOW: Duration = Duration::from_secs(5);
/// Timestamps may be this far ahead of the exchange's clock and are still accepted.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// The asset that profits and fees are paid in.
const MARGIN_ASSET: &str = "USDT";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use optiflow_base::secret::Secret;
    use optiflow_oms::binance::setup::{OrderLimits, Rules};
    use optiflow_oms::binance::sign::ApiKey;
    use optiflow_wire::tls::Roots;

    use super::*;

    /// One that nobody has to look up.
    fn venue() -> Venue {
        let url = |scheme: &str| format!("{scheme}://127.0.0.1:9");
        let key = Arc::new(ApiKey::hmac("key", &Secret::new(b"secret".to_vec())).unwrap());
        let (rest, streams, ws_api) = (url("http"), url("ws"), url("ws"));
        Venue { rest, streams, ws_api, roots: Roots::WebPki, key, embedded: None }
    }

    #[test]
    fn the_lower_of_our_limits_and_the_exchange_s_reaches_risk_strategies_and_the_oms() {
        let text = include_str!("../../configs/demo.toml");
        let config = Config::parse(text).unwrap();
        // Ours are 100, 600 and 1 200.
        for (ten_seconds, minute, weight_minute, expected) in [
            (300, 1_200, 2_400, (100, 600, 1_200, 10)),
            (50, 1_200, 800, (50, 600, 800, 10)),
            (300, 40, 2_400, (100, 40, 1_200, 10)),
        ] {
            let rules = Rules { instruments: Vec::new(), weight_minute, orders: OrderLimits { ten_seconds, minute } };
            let RateLimits { orders_ten_seconds, orders_minute, weight_minute, reserve_percent } =
                risk(&config, &rules).rates;
            assert_eq!((orders_ten_seconds, orders_minute, weight_minute, reserve_percent), expected);
            assert_eq!(engine(&config, &rules, 1).rates, risk(&config, &rules).rates);
            let (peace, venue, time) = (Peace::new(), venue(), ExchangeTime::new());
            let (former, attempts) = (Former::default(), Attempts::new());
            let oms = oms(&config, &venue, &rules, time, &peace, (former, Nanos(0)), &attempts).unwrap();
            let kept = expected.2 / 10;
            assert_eq!(oms.guards.peace.weight().room(Nanos(0)), expected.2 - kept, "a tenth is for cancels");
        }
    }
}
