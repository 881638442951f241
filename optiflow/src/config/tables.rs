//! The tables of a configuration, one reader each: a section in, its settings or its problems out.
//!
//! Limits have no defaults. Never looks from one table into another: the parent module does. Runs on the main thread.

use std::path::PathBuf;
use std::time::Duration;

use optiflow_base::ids::SymbolName;
use optiflow_oms::stage::Countdown;

use super::reader::Section;
use super::{
    FeedSettings, KeyFiles, Mode, OmsSettings, RiskSettings, SimConfig, StorageConfig, StrategyConfig, SymbolConfig,
    echo, scalping,
};

pub(super) fn sim(section: Section<'_>) -> SimConfig {
    let sim = SimConfig {
        market: section.text("market", Some("synthetic")),
        seed: section.int("seed", Some(7), 0..=i64::MAX).unsigned_abs(),
        speed: section.float("speed", Some(1.0), 0.01..=1000.0),
        tls: section.flag("tls", Some(true)),
        ed25519: section.choice("key", Some("hmac"), &["hmac", "ed25519"]) == "ed25519",
        folder: section.maybe_text("folder").map(PathBuf::from),
    };
    section.end();
    sim
}

pub(super) fn keys(root: &Section<'_>, mode: Mode) -> Option<KeyFiles> {
    if matches!(mode, Mode::Sim | Mode::Paper) && !root.has("keys") {
        return None;
    }
    let section = root.child("keys");
    for inline in ["api_key", "api_secret", "secret", "private_key"] {
        if section.has(inline) {
            section.problem(inline, "secrets do not belong in a configuration; name a file of mode 0600 instead");
        }
    }
    let keys =
        KeyFiles { api_key_file: section.key_file("api_key_file"), secret_file: section.key_file("secret_file") };
    section.end();
    Some(keys)
}

pub(super) fn storage(section: Section<'_>) -> StorageConfig {
    let storage = StorageConfig {
        path: section.text("path", Some("trading_log.db")).into(),
        signal_every: section.span("signal_every", Some(seconds(1)), millis(10)..=seconds(3_600)),
    };
    section.end();
    storage
}

pub(super) fn feed(section: Section<'_>) -> FeedSettings {
    let silence = millis(200)..=seconds(3_600);
    let feed = FeedSettings {
        depth: section.choice("depth", Some("100ms"), &["0ms", "100ms", "250ms", "500ms"]),
        depth_silence: section.span("depth_silence", Some(seconds(5)), silence.clone()),
        top_silence: section.span("top_silence", Some(seconds(5)), silence.clone()),
        trade_silence: section.span("trade_silence", Some(seconds(60)), silence.clone()),
        mark_silence: section.span("mark_silence", Some(seconds(10)), silence),
        flow_window: section.span("flow_window", Some(seconds(1)), millis(50)..=seconds(60)),
    };
    section.end();
    feed
}

pub(super) fn oms(section: Section<'_>) -> OmsSettings {
    let countdown = Countdown::default();
    let oms = OmsSettings {
        recv_window_ms: small(section.int("recv_window_ms", Some(1_000), 50..=60_000)),
        reply_timeout: section.span("reply_timeout", Some(seconds(2)), millis(100)..=seconds(60)),
        stop_timeout: section.span("stop_timeout", Some(seconds(10)), seconds(1)..=seconds(120)),
        countdown: Countdown {
            heartbeat: section.span("heartbeat", Some(countdown.heartbeat), millis(500)..=seconds(60)),
            span: section.span("countdown", Some(countdown.span), seconds(3)..=seconds(600)),
        },
    };
    section.end();
    oms
}

pub(super) fn risk(section: Section<'_>) -> RiskSettings {
    let risk = RiskSettings {
        orders_ten_seconds: small(section.int("orders_ten_seconds", None, 1..=100_000)),
        orders_minute: small(section.int("orders_minute", None, 1..=100_000)),
        weight_minute: small(section.int("weight_minute", None, 100..=100_000)),
        reserve_percent: small(section.int("reserve_percent", Some(10), 0..=50)),
        quote_age_max: section.span("quote_age_max", None, millis(50)..=seconds(60)),
    };
    section.end();
    risk
}

pub(super) fn symbol(section: Section<'_>) -> SymbolConfig {
    let name = section.text("name", None);
    let shaped = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if section.has("name") && !shaped {
        section.problem("name", format!("{name:?} is no symbol: write it as the exchange does, such as \"BTCUSDT\""));
    }
    let strategy = match section.choice("strategy", None, &["scalping_v1", "echo"]).as_str() {
        "echo" => StrategyConfig::Echo(echo::read(section.child("echo"))),
        _ => StrategyConfig::ScalpingV1(Box::new(scalping::read(section.child("scalping_v1")))),
    };
    let symbol = SymbolConfig {
        name: SymbolName::from(&name).unwrap_or_default(),
        order_notional_max: section.amount("order_notional_max", None),
        position_notional_max: section.amount("position_notional_max", None),
        open_orders_max: small(section.int("open_orders_max", None, 1..=200)),
        price_band_ppm: section.int("price_band_bps", None, 1..=2_000) * 100,
        strategy,
    };
    section.end();
    symbol
}

pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A value whose range was checked to fit.
fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}
