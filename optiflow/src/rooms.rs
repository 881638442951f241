//! Configuration + exchange → everything the rooms are built from: rules, fees, limits, clock, database.
//!
//! The blocking questions that must be answered before the first order are asked here, on the main thread. Trades
//! nothing; changes nothing at the exchange.

use std::io::Read;
use std::path::Path;

use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::control::Pulse;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolName, TradeId};
use optiflow_base::instrument::Instrument;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::strategies::echo::Echo;
use optiflow_engine::strategies::scalping_v1::ScalpingV1;
use optiflow_engine::strategy::Strategy;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::setup;
use optiflow_oms::former::{Former, FormerOrder, Since};
use optiflow_oms::peace::Peace;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol};
use optiflow_storage::reader::former::{SymbolTail, UnfinishedOrder, unfinished};
use optiflow_storage::{SessionInfo, SessionSymbol, Storage, StorageError, next_epoch};
use optiflow_wire::limits::Limits;
use sha2::{Digest, Sha256};

use crate::config::{Config, FeedSettings, Mode, StrategyConfig};
use crate::pipeline::Rooms;
use crate::problem::Problem;
use crate::venue::Venue;

/// Asks the exchange what must be known, opens the database, and prepares every room. The client that asked comes back
/// too: it is the last resort when the pipeline is gone.
///
/// # Errors
/// Says what was being done and what to do now.
pub fn build(config: &Config, text: &str, venue: &Venue, clock: &RealClock) -> Result<(Rooms, RestClient), Problem> {
    let time = ExchangeTime::new();
    let say = |error: optiflow_oms::error::OmsError| Problem::Failed(error.to_string());
    let file = |error: optiflow_storage::StorageError| Problem::Usage(error.to_string());
    let peace = Peace::new();
    let client = || {
        let client = RestClient::new(&venue.rest, &venue.roots, Some(venue.key.clone()), time.clone());
        client.map(|client| client.sharing(&peace)).map_err(say)
    };
    let mut rest = client()?;
    let names: Vec<SymbolName> = config.symbols.iter().map(|symbol| symbol.name).collect();
    setup::sync_time(&mut rest, clock, &time).map_err(say)?;
    let mut rules = setup::exchange_rules(&mut rest, clock, &names, MARGIN_ASSET).map_err(say)?;
    setup::require_one_way(&mut rest, clock).map_err(say)?;
    setup::fees(&mut rest, clock, &mut rules.instruments).map_err(say)?;
    rules.orders = setup::order_limits(&mut rest, clock).map_err(say)?;

    let epoch = next_epoch(&config.storage.path).map_err(file)?;
    let started = clock.now();
    let session = session(mode_name(config.mode), &venue.rest, text, started, epoch, &rules.instruments);
    // Before the session's own row is there.
    let former = former(&config.storage.path, &session).map_err(file)?;
    let storage = Storage::open(&config.storage.path, &session).map_err(file)?;
    let rooms = Rooms {
        feed: feed(config, venue, &rules.instruments, epoch)?,
        engine: engine(config, &rules.instruments, epoch),
        risk: risk(config, &rules),
        oms: oms(config, venue, &rules, time.clone(), &peace, former)?,
        storage,
        // The oms hears its own client's headers in the replies, the feed's through the peace.
        feed_rest: client()?.announcing(),
        oms_rest: client()?,
    };
    Ok((rooms, rest))
}

fn feed(config: &Config, venue: &Venue, instruments: &[Instrument], seed: u32) -> Result<FeedConfig, Problem> {
    let symbol = |one: &Instrument| FeedSymbol { id: one.symbol, name: one.name, tick_size: one.tick_size };
    let FeedSettings { depth, depth_silence, top_silence, trade_silence, mark_silence, .. } = &config.feed;
    Ok(FeedConfig {
        symbols: instruments.iter().map(symbol).collect(),
        public: venue.endpoint(&venue.streams)?,
        market: venue.endpoint(&venue.streams)?,
        depth_speed: depth.clone(),
        silence: Silence { depth: *depth_silence, top: *top_silence, trade: *trade_silence, mark: *mark_silence },
        limits: Limits::market(),
        seed: seed.into(),
    })
}

pub(crate) fn engine(config: &Config, instruments: &[Instrument], epoch: u32) -> EngineConfig {
    let symbol = |(index, instrument): (usize, &Instrument)| EngineSymbol {
        instrument: *instrument,
        strategy: strategy(&config.symbols[index].strategy),
    };
    EngineConfig {
        symbols: instruments.iter().enumerate().map(symbol).collect(),
        epoch,
        sample_every: config.storage.signal_every,
        flow_window: config.feed.flow_window,
    }
}

fn strategy(config: &StrategyConfig) -> Box<dyn Strategy + Send> {
    match config {
        StrategyConfig::ScalpingV1(config) => Box::new(ScalpingV1::new(config.as_ref().clone())),
        StrategyConfig::Echo(config) => Box::new(Echo::new(*config)),
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
        orders_ten_seconds: config.risk.orders_ten_seconds.min(rules.orders.ten_seconds),
        orders_minute: config.risk.orders_minute.min(rules.orders.minute),
        weight_minute: config.risk.weight_minute.min(rules.weight_minute),
        reserve_percent: config.risk.reserve_percent,
        quote_age_max: config.risk.quote_age_max,
    }
}

fn oms(
    config: &Config,
    venue: &Venue,
    rules: &setup::Rules,
    time: ExchangeTime,
    peace: &Peace,
    former: Former,
) -> Result<OmsConfig, Problem> {
    let countdown = config.oms.countdown;
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
        limits: Limits::orders(),
        seed: former.epoch.into(),
        guards: Guards {
            countdown,
            spare: true,
            storage: Some(Pulse::new()),
            peace: peace.clone(),
            former: Some(former),
        },
    })
}

/// What former sessions in this mode at this exchange left unfinished, in the words of the oms. Orders in symbols that
/// are no longer traded are none of this session's: those that are open are cancelled as leftovers all the same.
fn former(path: &Path, session: &SessionInfo) -> Result<Former, StorageError> {
    let names: Vec<&str> = session.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let unfinished = unfinished(path, &session.mode, &session.venue, &names)?;
    let order = |order: UnfinishedOrder| {
        let symbol = session.symbols.iter().find(|symbol| symbol.name.as_str() == order.symbol)?.id;
        let UnfinishedOrder { order, decided: sent, exchange_id, trades, filled, .. } = order;
        let exchange_id = exchange_id.map(ExchangeOrderId);
        Some(FormerOrder {
            symbol,
            order,
            sent,
            exchange_id,
            trades: trades.into_iter().map(TradeId).collect(),
            filled,
        })
    };
    let since = |tail: &SymbolTail| match (tail.exchange_id, tail.first_session) {
        (Some(id), _) => Since::Order(ExchangeOrderId(id)),
        (None, Some(at)) => Since::Time(at),
        (None, None) => Since::Nothing,
    };
    let mut ended: Vec<OrderId> = unfinished.symbols.iter().flat_map(|tail| tail.ended.iter().copied()).collect();
    ended.sort_unstable();
    Ok(Former {
        epoch: session.epoch,
        since: unfinished.symbols.iter().map(since).collect(),
        orders: unfinished.orders.into_iter().filter_map(order).collect(),
        ended,
        died: unfinished.died,
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
) -> SessionInfo {
    SessionInfo {
        epoch,
        started,
        mode: mode.to_owned(),
        venue: venue.to_owned(),
        margin_asset: MARGIN_ASSET.to_owned(),
        config_hash: hash(text.as_bytes()),
        binary_hash: std::env::current_exe().ok().and_then(|path| hash_of_file(&path)).unwrap_or_default(),
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

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash_of_file(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.read_to_end(&mut bytes).ok()?;
    Some(hash(&bytes))
}

/// The asset that profits and fees are paid in.
const MARGIN_ASSET: &str = "USDT";
