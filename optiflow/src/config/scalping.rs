//! The settings of `scalping_v1` in a configuration; what each means is written at `ScalpingConfig`.

use std::time::Duration;

use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

use super::reader::Section;

/// Reads the table; every field may be left out. Ranges between fields are the strategy's own to check.
pub fn read(section: Section<'_>) -> ScalpingConfig {
    let usual = ScalpingConfig::default();
    let ticks = |key, usual| section.int(key, Some(usual), 0..=10_000);
    let count = |key, usual: u32| u32::try_from(section.int(key, Some(usual.into()), 1..=100)).unwrap_or(usual);
    let ratio = |key, usual| section.float(key, Some(usual), -1.0..=1.0);
    let span = |key, usual| section.span(key, Some(usual), Duration::ZERO..=DAY);
    let config = ScalpingConfig {
        order_notional: section.amount("order_notional", Some(usual.order_notional)),
        position_notional_max: section.amount("position_notional_max", Some(usual.position_notional_max)),
        obi_l1_enter: section.float("obi_l1_enter", Some(usual.obi_l1_enter), 0.0..=1.0),
        obi_l1_keep: ratio("obi_l1_keep", usual.obi_l1_keep),
        obi_l5_enter: ratio("obi_l5_enter", usual.obi_l5_enter),
        flow_enter: ratio("flow_enter", usual.flow_enter),
        improve_spread_ticks: ticks("improve_spread_ticks", usual.improve_spread_ticks),
        reprice_ticks: ticks("reprice_ticks", usual.reprice_ticks),
        quote_life_min: span("quote_life_min", usual.quote_life_min),
        quote_life_max: span("quote_life_max", usual.quote_life_max),
        take_profit_ppm: section.int("take_profit_ppm", Some(usual.take_profit_ppm), 0..=100_000),
        take_profit_ticks: ticks("take_profit_ticks", usual.take_profit_ticks),
        stop_loss_ppm: section.int("stop_loss_ppm", Some(usual.stop_loss_ppm), 1..=100_000),
        hold_max: span("hold_max", usual.hold_max),
        exit_grace: span("exit_grace", usual.exit_grace),
        cross_ticks: ticks("cross_ticks", usual.cross_ticks),
        cross_attempts_max: count("cross_attempts_max", usual.cross_attempts_max),
        orders_per_second_max: count("orders_per_second_max", usual.orders_per_second_max),
        refusal_cooldown: span("refusal_cooldown", usual.refusal_cooldown),
        refusals_max: count("refusals_max", usual.refusals_max),
        refusal_pause: span("refusal_pause", usual.refusal_pause),
        stale_after: span("stale_after", usual.stale_after),
    };
    for problem in config.validate() {
        let (field, what) = problem.split_once(": ").unwrap_or(("", &problem));
        section.problem(field, what);
    }
    section.end();
    config
}

const DAY: Duration = Duration::from_secs(86_400);
