//! Configuration + market → everything a run of the stages is made from: symbols, filters, fees, limits, latency.
//!
//! Filters come from flags, else from what is known of the symbol as it is listed, else from the data's own grid. The same
//! for backtests and for trading on paper: equal configurations and markets make equal runs.

use std::fs;
use std::path::Path;

use optiflow_backtest::listing::{self, FeesPpm};
use optiflow_backtest::stages::{Direct, Lane, StagesConfig};
use optiflow_base::clock::Nanos;
use optiflow_base::decimal::{UNITS, decimals_of};
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_oms::binance::setup::{OrderLimits, Rules};
use optiflow_sim::core::{CoreConfig, VenueRules};
use optiflow_sim::market::listings;
use optiflow_sim::matching::rules::{MatchingRules, Queueing};
use optiflow_sim::replay::terms::{ORDERS_MINUTE, ORDERS_TEN_SECONDS};
use optiflow_sim::words::Listing;
use optiflow_store::schema::SymbolInfo;

use super::market::{Opened, Told};
use crate::backtest::settings::{Settings, check_script};
use crate::cli::BacktestArgs;
use crate::config::Config;
use crate::config::backtest::{self, QueueChoice, StrategyName};
use crate::problem::Problem;
use crate::rooms;

/// A run before it begins.
pub(crate) struct Ground {
    /// What the stages are made from.
    pub(crate) stages: StagesConfig,
    /// The market.
    pub(crate) lanes: Vec<Lane>,
    /// The symbols as the exchange lists them.
    pub(crate) listings: Vec<Listing>,
}

/// Does this file ask for the stages: by its strategy, or by symbols where it names none? What is wrong with it is told
/// by whoever reads it in full.
pub(crate) fn names_stages(path: &Path) -> Result<bool, Problem> {
    let Ok(file) = text_of(path)?.parse::<toml::Table>() else { return Ok(false) };
    let backtest = file.get("backtest").and_then(toml::Value::as_table);
    let named = backtest.and_then(|table| table.get("strategy").or(table.get("script")));
    Ok(match named.map(toml::Value::as_str) {
        Some(name) => name == Some(StrategyName::ScalpingV1.name()),
        None => file.contains_key("symbol"),
    })
}

/// The configuration and its text; `None` when it has no symbols, or there is none.
pub(crate) fn config(args: &BacktestArgs) -> Result<(Option<Config>, String), Problem> {
    let Some(path) = &args.config else { return Ok((None, String::new())) };
    let text = text_of(path)?;
    if !text.parse::<toml::Table>().is_ok_and(|file| file.contains_key("symbol")) {
        // Only a table [backtest]: what it says counts, for the symbols of the market.
        return Ok((None, text));
    }
    let mut config = Config::from_text(path, &text).map_err(|error| Problem::Usage(error.to_string()))?;
    if let Some(wanted) = args.symbol {
        config.symbols.retain(|symbol| symbol.name == wanted);
        if config.symbols.is_empty() {
            return Err(Problem::Usage(format!("{}: has no [[symbol]] {wanted}", path.display())));
        }
    }
    Ok((Some(config), text))
}

/// The configuration where none says what to trade: `scalping_v1` in each of these symbols, small.
pub(crate) fn usual(names: &[SymbolName]) -> Result<Config, Problem> {
    Config::parse(&usual_text(names)).map_err(|problems| Problem::Failed(problems.join("; ")))
}

/// The same as text.
pub(crate) fn usual_text(names: &[SymbolName]) -> String {
    let tables: String = names.iter().map(|name| USUAL_SYMBOL.replace("NAME", name)).collect();
    // As much as all symbols may have by their own limits.
    let (notional, orders) = (USUAL_NOTIONAL * names.len(), USUAL_ORDERS * names.len());
    format!("{USUAL}total_notional_max = \"{notional}\"\ntotal_open_orders_max = {orders}\n{tables}")
}

/// Flags before the file before defaults.
pub(crate) fn settings(args: &BacktestArgs, config: &Config) -> Result<Settings, Problem> {
    let mut file = match (&config.backtest, &args.config) {
        (Some(file), _) => file.clone(),
        (None, Some(path)) if !text_of(path)?.contains("[[symbol]]") => {
            backtest::load(path).map_err(|error| Problem::Usage(error.to_string()))?
        }
        (None, _) => Default::default(),
    };
    check_script(args, &file)?;
    file.latency = file.latency.or(config.paper.latency.clone());
    let asked = args.terms.over(&file.terms);
    if asked.stp.is_some() || asked.orders_ten_seconds.is_some() || asked.orders_minute.is_some() {
        let text = "stp, orders_ten_seconds and orders_minute are for the strategies grid and script: the live stages meet \
            the exchange's own; leave them out, or limit orders in [risk]";
        return Err(Problem::Usage(text.to_owned()));
    }
    file.terms.wallet = file.terms.wallet.or(Some(WALLET));
    let args = BacktestArgs { strategy: Some(StrategyName::ScalpingV1), ..args.clone() };
    let settings = Settings::over(&args, file)?;
    if settings.compatible {
        let text = "compatible is for the strategies grid and script; the live stages have no conventions of a peer";
        return Err(Problem::Usage(text.to_owned()));
    }
    Ok(settings)
}

impl Ground {
    /// Everything, for the symbols of `config`.
    pub(crate) fn new(config: &Config, settings: &Settings, opened: Opened) -> Result<Ground, Problem> {
        let names: Vec<SymbolName> = config.symbols.iter().map(|symbol| symbol.name).collect();
        let is_exact = settings.queue.choice == QueueChoice::Fifo;
        let direct = if is_exact { opened.direct(&names)? } else { None };
        let (told, lanes) = opened.take(&names)?;
        Ground::with(config, settings, &told, lanes, direct)
    }

    /// The same, over lanes that are open: `told` are the symbols of `config`, in its order.
    pub(crate) fn over(
        config: &Config,
        settings: &Settings,
        told: &[Told],
        lanes: Vec<Lane>,
    ) -> Result<Ground, Problem> {
        Ground::with(config, settings, told, lanes, None)
    }

    fn with(
        config: &Config,
        settings: &Settings,
        told: &[Told],
        lanes: Vec<Lane>,
        direct: Option<Direct>,
    ) -> Result<Ground, Problem> {
        let listings: Result<Vec<Listing>, Problem> = told.iter().map(|told| listing(told, settings)).collect();
        let listings = listings?;
        let instruments = instruments(&listings, settings)?;
        let orders = OrderLimits { ten_seconds: ORDERS_TEN_SECONDS, minute: ORDERS_MINUTE };
        let rules = Rules { instruments, weight_minute: WEIGHT_MINUTE, orders };
        let stages = StagesConfig {
            engine: rooms::engine(config, &rules, EPOCH),
            risk: rooms::risk(config, &rules),
            core: core(settings, &listings, direct.is_some())?,
            direct,
            latency: settings.latency()?,
            run_for: None,
            stop_timeout: config.oms.stop_timeout,
        };
        Ok(Ground { stages, lanes, listings })
    }
}

fn core(settings: &Settings, listings: &[Listing], is_direct: bool) -> Result<CoreConfig, Problem> {
    let is_exact = is_direct && settings.queue.choice == QueueChoice::Fifo;
    let estimate = || settings.queue.estimate().map(Queueing::Model).map_err(Problem::Usage);
    let queue = if is_exact { Queueing::Fifo } else { estimate()? };
    let matching = MatchingRules { queue, partial_fills: settings.partial_fills, ..MatchingRules::default() };
    let margin = settings.terms.margin.ok_or_else(|| Problem::Failed("the account has no wallet".to_owned()))?;
    Ok(CoreConfig {
        listings: listings.to_vec(),
        wallet: margin.wallet,
        leverage: margin.leverage,
        maker_fee_ppm: settings.maker_fee_ppm,
        taker_fee_ppm: settings.taker_fee_ppm,
        speed: 1.0,
        start: Nanos(0),
        rules: VenueRules { matching, liquidation_fee_ppm: Some(margin.liquidation_fee_ppm) },
    })
}

/// A symbol as the exchange lists it, as far as that can be known.
fn listing(told: &Told, settings: &Settings) -> Result<Listing, Problem> {
    let mut listing = match told {
        Told::Listed(listing) => listing.as_ref().clone(),
        Told::Stored(info) => stored(info, settings)?,
    };
    if let Some(tick) = settings.tick {
        listing.tick_size = tick;
        listing.price_min = listing.price_min.max(tick);
    }
    if let Some(lot) = settings.lot {
        (listing.step_size, listing.qty_min) = (lot, lot);
    }
    if settings.terms.min_notional > Notional::ZERO {
        listing.notional_min = settings.terms.min_notional;
    }
    Ok(listing)
}

/// The known listing where its grid holds the data; else what the data's own grid allows.
fn stored(info: &SymbolInfo, settings: &Settings) -> Result<Listing, Problem> {
    let known = listings::known(&info.name);
    let tick = settings.tick.or_else(|| known.as_ref().map(|known| known.tick_size)).unwrap_or(info.tick);
    let lot = settings.lot.or_else(|| known.as_ref().map(|known| known.step_size)).unwrap_or(info.lot);
    for (name, units, example) in [("tick", tick.units(), "0.1"), ("lot", lot.units(), "0.001")] {
        if units <= 0 {
            let symbol = info.name;
            let text = format!("the {name} of {symbol} is not told by the files; give it, such as --{name} {example}");
            return Err(Problem::Usage(text));
        }
    }
    let mut listing =
        known.unwrap_or_else(|| listings::inferred(&info.name, decimals_of(tick.units()), decimals_of(lot.units())));
    let finer = |grid: i64, data: i64| if data > 0 && data % grid != 0 { data } else { grid };
    listing.tick_size = Price::from_units(finer(tick.units(), info.tick.units()));
    listing.step_size = Qty::from_units(finer(lot.units(), info.lot.units()));
    listing.qty_min = listing.step_size;
    Ok(listing)
}

fn instruments(listings: &[Listing], settings: &Settings) -> Result<Vec<Instrument>, Problem> {
    let fees = FeesPpm { maker: settings.maker_fee_ppm, taker: settings.taker_fee_ppm };
    let instrument = |(listing, id): (&Listing, u16)| listing::instrument(SymbolId(id), listing, fees);
    listings.iter().zip(0..).map(instrument).collect::<Result<_, String>>().map_err(Problem::Failed)
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| Problem::Usage(format!("{}: cannot be read: {error}", path.display())))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// Without a database no session has come before.
const EPOCH: u32 = 1;
/// What the simulated exchange's test account has.
const WALLET: Notional = Notional::from_units(10_000 * UNITS as i128);
/// Request weight that Binance allows an address in a minute.
const WEIGHT_MINUTE: u32 = 2_400;
/// The demo's limits, for whatever the market has.
const USUAL: &str = "mode = \"paper\"\n[risk]\norders_ten_seconds = 100\norders_minute = 600\nweight_minute = 1200\n\
    quote_age_max = \"2s\"\n";
/// Of each symbol below.
const USUAL_NOTIONAL: usize = 600;
const USUAL_ORDERS: usize = 4;
const USUAL_SYMBOL: &str = "[[symbol]]\nname = \"NAME\"\nstrategy = \"scalping_v1\"\norder_notional_max = \"500\"\n\
    position_notional_max = \"600\"\nopen_orders_max = 4\nprice_band_bps = 100\n[symbol.scalping_v1]\n";
