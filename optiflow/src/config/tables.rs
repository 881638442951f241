//! The tables of a configuration, one reader each: a section in, its settings or its problems out.
//!
//! Limits have no defaults. Never looks from one table into another: the parent module does. Runs on the main thread.

use std::path::PathBuf;
use std::time::Duration;

use optiflow_base::ids::SymbolName;
use optiflow_oms::binance::setup::WantedSettings;
use optiflow_oms::stage::Countdown;
use optiflow_risk::TotalLimits;
use optiflow_sim::core::SPEEDS;

use super::reader::Section;
use super::{
    FeedSettings, KeyFiles, Mode, OmsSettings, RiskSettings, SimConfig, StorageConfig, StrategyConfig, SymbolConfig,
    echo, scalping,
};

pub(super) fn sim(section: Section<'_>) -> SimConfig {
    let sim = SimConfig {
        market: section.text("market", Some("synthetic")),
        seed: section.int("seed", Some(7), 0..=i64::MAX).unsigned_abs(),
        speed: section.float("speed", Some(1.0), SPEEDS),
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
    // Both or none: who writes one is told of the other.
    let is_total = section.has("total_notional_max") || section.has("total_open_orders_max");
    let total = is_total.then(|| TotalLimits {
        notional_max: section.amount("total_notional_max", None),
        open_orders_max: small(section.int("total_open_orders_max", None, 1..=10_000)),
    });
    let risk = RiskSettings {
        total,
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
        settings: settings(&section),
        strategy,
    };
    section.end();
    symbol
}

/// What is not written may be as the account has it.
fn settings(section: &Section<'_>) -> WantedSettings {
    let settings = WantedSettings {
        leverage: section.has("leverage").then(|| small(section.int("leverage", None, 1..=LEVERAGE_MAX))),
        isolated: section.has("margin").then(|| section.choice("margin", None, &["cross", "isolated"]) == "isolated"),
        apply: section.flag("apply_settings", Some(false)),
    };
    if settings.apply && settings.leverage.is_none() && settings.isolated.is_none() {
        section.problem("apply_settings", "there is nothing to apply; write leverage or margin beside it");
    }
    settings
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

/// Largest leverage that Binance knows.
const LEVERAGE_MAX: i64 = 125;

#[cfg(test)]
mod tests {
    use optiflow_oms::binance::setup::WantedSettings;
    use optiflow_risk::TotalLimits;

    use crate::config::Config;

    /// The demo with another symbol, or without, and these lines in its table `[risk]`.
    fn parsed(second: bool, lines: &str) -> Result<Option<TotalLimits>, String> {
        let demo = include_str!("../../../configs/demo.toml");
        let risk = format!("quote_age_max = \"2s\"\n{lines}");
        let (start, symbol) = demo.split_once("[[symbol]]").unwrap();
        let another = if second { symbol.replace("BTCUSDT", "ETHUSDT") } else { String::new() };
        let another = if second { format!("[[symbol]]{another}") } else { another };
        let text = format!("{}[[symbol]]{symbol}{another}", start.replace("quote_age_max = \"2s\"", &risk));
        Config::parse(&text).map(|config| config.risk.total).map_err(|problems| problems.join("\n"))
    }

    #[test]
    fn several_symbols_must_have_limits_together_and_one_may() {
        let both = "total_notional_max = \"1000\"\ntotal_open_orders_max = 6";
        let total = Some(TotalLimits { notional_max: "1000".parse().unwrap(), open_orders_max: 6 });
        assert_eq!(parsed(false, ""), Ok(None));
        assert_eq!(parsed(false, both), Ok(total));
        assert_eq!(parsed(true, both), Ok(total));
        for (second, lines, says) in [
            (true, "", "several symbols have limits together"),
            (true, "total_notional_max = \"1000\"", "total_open_orders_max: missing"),
            (false, "total_open_orders_max = 6", "total_notional_max: missing"),
            (true, "total_notional_max = \"0\"\ntotal_open_orders_max = 6", "above zero"),
            (true, "total_notional_max = \"1000\"\ntotal_open_orders_max = 0", "outside"),
        ] {
            let problems = parsed(second, lines).unwrap_err();
            assert!(problems.contains(says), "{lines}: {problems}");
        }
    }

    #[test]
    fn leverage_and_margin_are_left_as_they_are_unless_written_and_shown_when_they_are() {
        let with = |lines: &str| {
            let demo = include_str!("../../../configs/demo.toml");
            let text = demo.replace("price_band_bps = 100", &format!("price_band_bps = 100\n{lines}"));
            let config = Config::parse(&text).map_err(|problems| problems.join("\n"));
            config.map(|config| (config.symbols[0].settings, config.effective))
        };
        assert_eq!(with("").unwrap().0, WantedSettings::default());
        let wanted = WantedSettings { leverage: Some(5), isolated: Some(true), apply: true };
        let (settings, effective) = with("leverage = 5\nmargin = \"isolated\"\napply_settings = true").unwrap();
        assert_eq!(settings, wanted);
        for (key, value) in [("leverage", "5"), ("margin", "isolated"), ("apply_settings", "true")] {
            assert!(effective.contains(&(format!("symbol[0].{key}"), value.to_owned())), "{key}: {effective:?}");
        }
        for (lines, says) in [
            ("leverage = 126", "outside 1 to 125"),
            ("margin = \"crossed\"", "none of cross, isolated"),
            ("apply_settings = true", "nothing to apply"),
        ] {
            let problems = with(lines).unwrap_err();
            assert!(problems.contains(says), "{lines}: {problems}");
        }
    }
}
