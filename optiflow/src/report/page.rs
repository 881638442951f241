//! report.html: one file that needs nothing else, no network, no font, no other file beside it.
//!
//! Text from outside (names, paths, settings) is escaped where it is written. Money is written from its integers: exact in
//! the tables, rounded in headlines and charts. Draws nothing itself: see `chart`.

use std::fmt::Write;

use optiflow_base::money::{Notional, Side};

use super::chart::{Chart, Dots, Shape, plain};
use super::collect::{Collector, Drawn, Symbol};
use super::days::Day;
use super::html::{count, date, decimals, duration, escape, exact, fixed, float, money, percent, share, sign, stamp};
use super::returns::Ratios;
use super::series::Point;
use super::tables;

/// What the page says of the run besides what it came to.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Who traded.
    pub strategy: String,
    /// Settings: name and value, in the order shown.
    pub settings: Vec<(String, String)>,
    /// Every answer in order, as one number in hexadecimal.
    pub hash: String,
}

/// The whole page.
pub fn page(run: &Collector, setup: &Setup) -> String {
    let names: Vec<String> = run.symbols.iter().map(|symbol| escape(&symbol.name)).collect();
    let title = format!("{} on {}", escape(&setup.strategy), names.join(", "));
    let unit = escape(&unit(run));
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\
         <title>Backtest: {title}</title><style>{STYLE}</style></head>\n<body><main>\n"
    );
    text += &header(run, &title);
    text += &headlines(run, &unit);
    text += &curves(run, &unit);
    text += &account(run, &unit);
    text += &symbols(run, &unit);
    text += &tables::markouts(run, &unit);
    text += &tables::orders(run);
    text += &tables::latency(run);
    text += &tables::closings(run, &unit);
    text += &days(run, &unit);
    text += &settings(setup);
    let _ = writeln!(text, "</main><script>{SCRIPT}</script></body></html>");
    text
}

fn header(run: &Collector, title: &str) -> String {
    let span = run.span_ns().map_or("no market passed".to_owned(), |(first, last)| {
        format!("{} to {} UTC · {}", stamp(first), stamp(last), duration(last - first))
    });
    format!(
        "<header><div class=\"mark\">OptiFlow · Backtest</div><h1>{title}</h1><div class=\"quiet\">{span}</div></header>\n"
    )
}

fn headlines(run: &Collector, unit: &str) -> String {
    let net = run.equity().unwrap_or_default();
    let (turnover, makers) = run.turnover();
    let (fills, _) = run.fills();
    let drawdown = run.returns.drawdown();
    let fates = run.orders.fates(Side::Buy).with(run.orders.fates(Side::Sell));
    let ratios = run.returns.ratios();
    let per_turnover = (!turnover.is_zero()).then(|| net.as_f64() / turnover.as_f64() * 1e4);
    let mark = run.markouts.at(MARK_SHOWN, |_| true);
    let places = tables::places_of([mark.mean()]);
    let sharpe = ratios.and_then(|ratios| ratios.sharpe);
    let sharpe_note = match (&ratios, sharpe) {
        (Some(ratios), Some(_)) => {
            format!("± {} · of profit per {}", float(Some(ratios.sharpe_error), 1), ratios.period)
        }
        (Some(_), None) => "profit never varied".to_owned(),
        (None, _) => "the run is shorter than a day".to_owned(),
    };
    let in_unit = |amount: Notional| format!("{} <span class=\"unit\">{unit}</span>", money(amount));
    let under = if drawdown.deepest.is_zero() {
        "never below a peak".to_owned()
    } else {
        format!("at most {} below a peak", duration(drawdown.longest_ns))
    };
    let of_turnover = |part: Notional| (!turnover.is_zero()).then(|| part.as_f64() / turnover.as_f64());
    let fees = run.fees();
    let traded = |note: String| if fills > 0 { note } else { "no fills".to_owned() };
    let heads = [
        ("Net profit", sign(net.units()), in_unit(net), "after fees, position at mid".to_owned()),
        ("Largest drawdown", "", in_unit(drawdown.deepest), under),
        ("Sharpe, a year", "", float(sharpe, 2), sharpe_note),
        ("Net profit by turnover", "", bps(per_turnover, 2), traded(format!("{} fills", count(fills)))),
        ("Turnover", "", in_unit(turnover), traded(format!("{} as maker", percent(of_turnover(makers))))),
        (
            "Fees",
            "",
            in_unit(fees),
            traded(format!("{} of turnover", bps(of_turnover(fees).map(|share| share * 1e4), 2))),
        ),
        (
            "Fill ratio",
            "",
            percent(fates.fill_ratio()),
            format!("{} of {} orders", count(fates.filled + fates.partly), count(fates.placed)),
        ),
        (
            "Markout at 1 s",
            "",
            bps(mark.mean(), places),
            traded(format!("± {} · mid against fill price", float(mark.error(), places))),
        ),
    ];
    let mut text = "<dl class=\"heads\">\n".to_owned();
    for (name, tone, value, note) in heads {
        let _ = writeln!(
            text,
            "<div><dt>{name}</dt><dd><span class=\"{tone}\">{value}</span><small>{note}</small></dd></div>"
        );
    }
    text + "</dl>\n"
}

fn bps(number: Option<f64>, places: usize) -> String {
    match number {
        Some(_) => format!("{} <span class=\"unit\">bps</span>", float(number, places)),
        None => "n/a".to_owned(),
    }
}

/// Equity and drawdown of the whole run.
fn curves(run: &Collector, unit: &str) -> String {
    let Some(span) = run.span_ns() else { return String::new() };
    let (equity, depth) = (run.equity.points(), run.depth.points());
    let title = format!("Equity, {unit}");
    let chart = |title, points, shape, class, height| {
        Chart { title, span, points, shape, class, decimals: 4, from_zero: true, height }.figure(&[], "")
    };
    let mut text = chart(&title, &equity, Shape::Line, "equity", 260);
    text += &chart(&format!("Drawdown, {unit}"), &depth, Shape::Area, "fall", 110);
    text
}

/// Where the money came from, exactly, and the ratios.
fn account(run: &Collector, unit: &str) -> String {
    let (realised, unrealised) = run.profit();
    let (fees, funding) = (run.fees(), run.funding());
    let net = run.equity().unwrap_or_default();
    let all = [realised, unrealised, fees, funding.unwrap_or_default(), net].map(Notional::units);
    let places = decimals(all);
    let amount =
        |amount: Notional| format!("<span class=\"{}\">{}</span>", sign(amount.units()), fixed(amount.units(), places));
    let charged = funding.map_or("none".to_owned(), amount);
    let mut text = "<h2>Result</h2>\n<div class=\"two\"><table class=\"pairs keep\">\n".to_owned();
    for (name, value, class) in [
        (format!("Realised, {unit}"), amount(realised), ""),
        ("Unrealised at the last mid".to_owned(), amount(unrealised), ""),
        ("Fees".to_owned(), amount(-fees), ""),
        ("Funding".to_owned(), charged, ""),
        ("Net profit".to_owned(), amount(net), " class=\"sum\""),
    ] {
        let _ = writeln!(text, "<tr{class}><td>{name}</td><td>{value}</td></tr>");
    }
    text += "</table>\n<table class=\"pairs keep\">\n";
    let ratios = run.returns.ratios();
    let ratio = |pick: fn(&Ratios) -> Option<f64>| float(ratios.as_ref().and_then(pick), 2);
    let drawdown = run.returns.drawdown();
    let when = if drawdown.deepest.is_zero() { String::new() } else { format!("{} UTC", stamp(drawdown.deepest_ns)) };
    let error = ratios.filter(|ratios| ratios.sharpe.is_some());
    let error = error.map_or(String::new(), |ratios| format!("± {} by chance", float(Some(ratios.sharpe_error), 1)));
    for (name, value, note) in [
        ("Sharpe", ratio(|ratios| ratios.sharpe), error),
        ("Sortino", ratio(|ratios| ratios.sortino), String::new()),
        ("Calmar", ratio(|ratios| ratios.calmar), String::new()),
        ("Largest drawdown", exact(drawdown.deepest.units()), when),
        ("Longest below a peak", duration(drawdown.longest_ns), String::new()),
    ] {
        let _ = writeln!(text, "<tr><td>{name}</td><td>{value}</td><td>{note}</td></tr>");
    }
    let from = match &ratios {
        Some(Ratios { period, periods, .. }) => {
            format!("Ratios are of profit per {period} ({} periods), scaled to a year of 365 days", count(*periods))
        }
        None => "Ratios need a run of a day at least (Calmar 30 days): of less they say nothing. They would be of profit by period, \
                 scaled to a year of 365 days"
            .to_owned(),
    };
    let _ = writeln!(
        text,
        "</table></div>\n<p class=\"note\">{from}; the run has no capital of its own, and on any constant capital the ratios are the same. \
         Sharpe: mean by deviation. Sortino: mean by deviation of losses. Calmar: profit a year by the largest drawdown. Equity and drawdown are \
         sampled each second.</p>"
    );
    text
}

/// Price with fills and position of each symbol, and a table where there are several.
fn symbols(run: &Collector, unit: &str) -> String {
    let Some(span) = run.span_ns() else { return String::new() };
    let mut text =
        if run.symbols.len() > 1 { symbol_table(run, unit) } else { "<h2>Market and position</h2>\n".to_owned() };
    for symbol in &run.symbols {
        if run.symbols.len() > 1 {
            let _ = writeln!(text, "<h3>{}</h3>", escape(&symbol.name));
        }
        text += &symbol_charts(symbol, span);
    }
    text
}

fn symbol_charts(symbol: &Symbol, span: (i64, i64)) -> String {
    let (price, position) = (symbol.price.points(), symbol.position.points());
    let dots = |class: &'static str, legend: &'static str, maker: bool, side: Side| {
        let of_kind = symbol.fills.kept().iter().filter(|fill| fill.maker == maker && fill.side == side);
        Dots { class, legend, points: of_kind.map(|fill| (fill.at, i128::from(fill.price.units()))).collect() }
    };
    let kinds = [
        dots("buy", "bought, maker", true, Side::Buy),
        dots("sell", "sold, maker", true, Side::Sell),
        dots("buy taker", "bought, taker", false, Side::Buy),
        dots("sell taker", "sold, taker", false, Side::Sell),
    ];
    let chart = |title, points, shape, class, from_zero, height| {
        let decimals = needed(points);
        Chart { title, span, points, shape, class, decimals, from_zero, height }
    };
    let mut text =
        chart("Mid price and fills", &price, Shape::Line, "price", false, 300).figure(&kinds, &pointed(symbol, span.0));
    text += &chart("Position", &position, Shape::Steps, "equity", true, 130).figure(&[], "");
    if symbol.fills.every() > 1 {
        let (shown, every) = (symbol.fills.kept().len() as u64, symbol.fills.every());
        let seen = symbol.fills.seen();
        let _ = writeln!(
            text,
            "<p class=\"note\">{} of {} fills are drawn, one in {}, evenly; all of them are in fills.csv.</p>",
            count(shown),
            count(seen),
            count(every)
        );
    }
    text
}

/// Decimals that the values of a curve need.
fn needed(points: &[Point]) -> usize {
    decimals(points.iter().map(|point| point.1))
}

/// The fills for the pointer: ms since the begin, price, side, quantity, maker or taker, realised.
fn pointed(symbol: &Symbol, start: i64) -> String {
    let mut text = " data-fills=\"".to_owned();
    for (number, Drawn { at, side, price, qty, maker, realised }) in symbol.fills.kept().iter().enumerate() {
        let realised = realised.map_or(String::new(), |realised| format!(" {}", plain(realised.units(), 4)));
        let _ = write!(
            text,
            "{}{} {price} {} {qty} {}{realised}",
            if number > 0 { ";" } else { "" },
            (at - start) / 1_000_000,
            if *side == Side::Buy { 'b' } else { 's' },
            if *maker { 'm' } else { 't' },
        );
    }
    text + "\""
}

fn symbol_table(run: &Collector, unit: &str) -> String {
    let mut text = format!(
        "<h2>Symbols</h2>\n<div class=\"wide\"><table class=\"keep\"><tr><th>symbol</th><th>net, {unit}</th><th>realised</th><th>unrealised</th><th>fees</th>\
         <th>turnover</th><th>fills</th><th>as maker</th><th>position</th><th>largest</th></tr>\n"
    );
    let amounts = |symbol: &Symbol| {
        let net = symbol.standing.map_or(Notional::ZERO, |standing| standing.equity);
        let account = &symbol.account;
        [net, account.realised(), symbol.unrealised(), account.fees(), account.turnover().0].map(Notional::units)
    };
    let places: [usize; 5] = std::array::from_fn(|column| decimals(run.symbols.iter().map(|one| amounts(one)[column])));
    for symbol in &run.symbols {
        let account = &symbol.account;
        let (fills, makers) = account.fills();
        let _ = write!(text, "<tr><td>{}</td>", escape(&symbol.name));
        for (column, units) in amounts(symbol).into_iter().enumerate() {
            let tone = if column == 0 { sign(units) } else { "" };
            let _ = write!(text, "<td class=\"{tone}\">{}</td>", fixed(units, places[column]));
        }
        let _ = writeln!(
            text,
            "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            count(fills),
            share(makers, fills),
            account.position(),
            account.position_max(),
        );
    }
    text + "</table></div>\n"
}

fn days(run: &Collector, unit: &str) -> String {
    let days = run.days.all();
    let mut text = format!(
        "<h2>Days</h2>\n<div class=\"wide\"><table><tr><th>UTC</th><th>net, {unit}</th><th>realised</th><th>fees</th><th>funding</th><th>turnover</th>\
         <th>fills</th><th>drawdown</th></tr>\n"
    );
    let hidden = days.len().saturating_sub(DAYS_SHOWN);
    let shown = &days[hidden..];
    let amounts = |day: &Day| {
        [day.profit(), day.realised, day.fees, day.funding, day.turnover, day.drawdown.deepest].map(Notional::units)
    };
    let places: [usize; 6] = std::array::from_fn(|column| decimals(shown.iter().map(|day| amounts(day)[column])));
    for day in shown {
        let units = amounts(day);
        let [net, realised, fees, funding, turnover, drawdown]: [String; 6] =
            std::array::from_fn(|column| fixed(units[column], places[column]));
        let (day_of, tone, fills) = (date(day.number), sign(day.profit().units()), count(day.fills));
        let _ = writeln!(
            text,
            "<tr><td>{day_of}</td><td class=\"{tone}\">{net}</td><td>{realised}</td><td>{fees}</td><td>{funding}</td><td>{turnover}</td>\
             <td>{fills}</td><td>{drawdown}</td></tr>",
        );
    }
    text += "</table></div>\n";
    if hidden > 0 {
        let _ = writeln!(text, "<p class=\"note\">{} earlier days are in equity.csv.</p>", count(hidden as u64));
    }
    text
}

fn settings(setup: &Setup) -> String {
    let mut text = "<h2>Settings</h2>\n<div class=\"wide\"><table class=\"settings\">\n".to_owned();
    for (name, value) in &setup.settings {
        let _ = writeln!(text, "<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value));
    }
    let _ = writeln!(
        text,
        "<tr><td>event log hash</td><td><code>{}</code></td></tr></table></div>\n<footer>A simulation on recorded data: queue places and latencies are \
         models, and the market does not react to the orders. Equal inputs and settings give the same hash on any machine. OptiFlow {}.</footer>",
        escape(&setup.hash),
        env!("CARGO_PKG_VERSION"),
    );
    text
}

/// In what the money is: the quote asset, where the symbols' names end alike in a known one.
fn unit(run: &Collector) -> String {
    let all_end = |asset: &&&str| run.symbols.iter().all(|symbol| symbol.name.ends_with(**asset));
    QUOTES.iter().find(all_end).map_or("quote", |asset| asset).to_owned()
}

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");
/// The horizon of the headline, one second.
const MARK_SHOWN: usize = 3;
const DAYS_SHOWN: usize = 400;
const QUOTES: [&str; 6] = ["USDT", "USDC", "FDUSD", "BUSD", "USD", "BTC"];
const _: () = assert!(super::markouts::HORIZONS[MARK_SHOWN].0 == 1_000_000_000, "the headline says one second");
