//! The sections that explain a result: markouts, orders, queues, latency, realised profit.

use std::fmt::Write;

use optiflow_base::money::Side;

use super::account::EDGES_BPS;
use super::chart::{Curve, classes};
use super::collect::{Collector, Moves};
use super::html::{count, decimals, duration, fixed, float, share, sign};
use super::markouts::{FillKind, HORIZONS, Mark};
use super::orders::{Fates, PLACES, Place};
use super::spans::Spans;

/// How the mid went after our fills.
pub fn markouts(run: &Collector, unit: &str) -> String {
    let mut text = "<h2>Markouts</h2>\n".to_owned();
    if run.fills().0 == 0 {
        return text + "<p class=\"quiet\">There were no fills.</p>\n";
    }
    let marks = |wanted: &dyn Fn(FillKind) -> bool| -> Vec<Mark> {
        (0..HORIZONS.len()).map(|horizon| run.markouts.at(horizon, wanted)).collect()
    };
    let kinds = KINDS.map(|(name, class, maker, side)| {
        (name, class, marks(&move |kind: FillKind| kind.maker == maker && kind.side == side))
    });
    let kinds: Vec<_> = kinds.into_iter().filter(|(_, _, marks)| marks[0].bps.n() > 0).collect();
    let all = marks(&|_| true);
    let curve = |class, legend, marks: &[Mark]| Curve { class, legend, points: marks.iter().map(drawn).collect() };
    let mut curves: Vec<Curve> = kinds.iter().map(|(name, class, marks)| curve(class, name, marks)).collect();
    if kinds.len() > 1 {
        curves.push(curve("all", "all fills", &all));
    }
    let names = HORIZONS.map(|(_, name)| name);
    text += &classes("Mid against the fill price, bps in our favour, by time after the fill", &names, &curves, 250);
    text += "<div class=\"wide\"><table class=\"keep\"><tr><th>bps ± standard error</th>";
    names.iter().for_each(|name| text.push_str(&format!("<th>{name}</th>")));
    text += "</tr>\n";
    let places = places_of(all.iter().map(Mark::mean));
    for (name, _, marks) in &kinds {
        row(&mut text, name, marks, places, "");
    }
    row(&mut text, "All fills", &all, places, " class=\"sum\"");
    let _ = write!(text, "<tr><td>In {unit}, all fills</td>");
    let places = decimals(all.iter().map(|mark| mark.money.units()));
    for mark in &all {
        let money = mark.money.units();
        let told = if mark.is_fair() { fixed(money, places) } else { "\u{2013}".to_owned() };
        let _ = write!(text, "<td class=\"{}\">{told}</td>", if mark.is_fair() { sign(money) } else { "" });
    }
    text += "</tr></table></div>\n";
    let skipped = match run.markouts.not_followed() {
        0 => String::new(),
        some => format!(" Left out because too many were waiting: {} fills.", count(some)),
    };
    let missed = if all.iter().all(Mark::is_fair) {
        ""
    } else {
        " A horizon that passed between two looks is not measured; where that was more than one fill in ten nothing is told, because the \
         rest are no fair sample."
    };
    let _ = writeln!(
        text,
        "<p class=\"note\">Time counts from when the fill was seen, on the mid as received; bars are one standard error as if fills were \
         independent, which those close together are not: read them as a lower bound.{missed}{skipped}</p>"
    );
    text
}

/// A mean of very few says nothing, and as a point among others it would say it loudly.
fn drawn(mark: &Mark) -> Option<(f64, f64)> {
    Some((mark.mean()?, mark.error()?)).filter(|_| mark.bps.n() >= DRAWN_LEAST)
}

fn row(text: &mut String, name: &str, marks: &[Mark], places: usize, class: &str) {
    let _ = write!(text, "<tr{class}><td>{name}</td>");
    for mark in marks {
        let n = count(mark.bps.n());
        if !mark.is_fair() {
            let _ = write!(text, "<td>\u{2013}<small>n {n} of {}</small></td>", count(mark.bps.n() + mark.missed));
            continue;
        }
        let tone = match float(mark.mean(), places) {
            text if text.bytes().all(|byte| !(b'1'..=b'9').contains(&byte)) => "",
            text if text.starts_with('\u{2212}') => "down",
            _ => "up",
        };
        let error =
            mark.error().map_or(String::new(), |error| format!("<small>± {}</small>", float(Some(error), places)));
        let mean = float(mark.mean(), places);
        let _ = write!(text, "<td><span class=\"{tone}\">{mean}</span>{error}<small>n {n}</small></td>");
    }
    text.push_str("</tr>\n");
}

/// Decimals of means in bps: two, four where two would show little but zeros.
pub fn places_of(means: impl IntoIterator<Item = Option<f64>>) -> usize {
    let largest = means.into_iter().flatten().fold(0.0, |largest: f64, mean| largest.max(mean.abs()));
    if largest < 0.1 { 4 } else { 2 }
}

/// What became of the orders, and where they queued.
pub fn orders(run: &Collector) -> String {
    let [buy, sell] = [Side::Buy, Side::Sell].map(|side| run.orders.fates(side));
    let both = buy.with(sell);
    let mut text = "<h2>Orders</h2>\n".to_owned();
    if both.placed == 0 {
        return text + "<p class=\"quiet\">No order was placed.</p>\n";
    }
    text += "<div class=\"wide\"><table class=\"keep\"><tr><th></th><th>placed</th><th>touched</th><th>filled</th><th>in part</th>\
             <th>cancelled</th><th>expired</th><th>refused</th><th>open</th><th>fill ratio</th></tr>\n";
    for (name, fates, class) in [("Buys", &buy, ""), ("Sells", &sell, ""), ("Both", &both, " class=\"sum\"")] {
        let Fates { placed, touched, filled, partly, cancelled, expired, refused, open, .. } = *fates;
        let _ = write!(text, "<tr{class}><td>{name}</td><td>{}</td>", count(placed));
        for part in [touched, filled, partly, cancelled, expired, refused, open] {
            let _ = write!(text, "<td>{}<small>{}</small></td>", count(part), share(part, placed));
        }
        let _ = writeln!(text, "<td>{}</td></tr>", share(filled + partly, placed));
    }
    text += "</table></div>\n";
    let requests = match both.requests_refused {
        0 => String::new(),
        some => format!(" Cancels and modifies that came too late, were refused or lost: {}.", count(some)),
    };
    let reasons: Vec<String> = run
        .orders
        .reasons()
        .map(|(reason, n)| format!("{} {}", count(n), reason.to_lowercase().replace('_', " ")))
        .collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!(" The exchange said: {}.", reasons.join(", ")) };
    let skipped = match run.orders.not_followed() {
        0 => String::new(),
        some => format!(" Left out because too many were open: {}.", count(some)),
    };
    let _ = writeln!(
        text,
        "<p class=\"note\">Each order ends as one of filled, cancelled, expired, refused or open; <i>in part</i> is some of cancelled, expired and \
         open. Touched: filled, or at the best price of its side at a moment that was looked at. Expired: never came to rest, such as a \
         post-only order that would have taken.{requests}{reasons}{skipped}</p>"
    );
    text += &queues(run);
    text
}

fn queues(run: &Collector) -> String {
    let places = run.orders.places();
    if places.iter().all(|place| place.rested == 0) {
        return String::new();
    }
    let mut text = "<h3>Queue</h3>\n<div class=\"wide\"><table class=\"keep\"><tr><th>ahead when it came to rest</th><th>orders</th><th>touched</th>\
                    <th>filled wholly</th><th>filled at all</th><th></th><th>to first fill, half</th><th>nine in ten</th></tr>\n"
        .to_owned();
    for (place, (_, name)) in places.iter().zip(&PLACES) {
        let Place { rested, filled, whole, touched, wait } = place;
        if *rested == 0 {
            continue;
        }
        let part = *filled as f64 / *rested as f64 * 100.0;
        let _ = writeln!(
            text,
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><span class=\"bar\"><i style=\"width:{part:.1}%\"></i></span></td>\
             <td>{}</td><td>{}</td></tr>",
            count(*rested),
            share(*touched, *rested),
            share(*whole, *rested),
            share(*filled, *rested),
            spent(wait, 50.0),
            spent(wait, 90.0),
        );
    }
    text + "</table></div>\n<p class=\"note\">Ahead: displayed at the order's price when it came to rest, in multiples of the order's own quantity. \
            Time to the first fill is the exchange's, of orders that filled while resting. A modified order counts where it went last.</p>\n"
}

fn spent(spans: &Spans, percent: f64) -> String {
    spans.percentile(percent).map_or("\u{2013}".to_owned(), |nanos| duration(nanos as i64))
}

/// How long the ways were, and what the market did meanwhile.
pub fn latency(run: &Collector) -> String {
    let latency = &run.latency;
    let mut text = "<h2>Latency</h2>\n".to_owned();
    if latency.response.count() == 0 && latency.lost == 0 {
        return text + "<p class=\"quiet\">Nothing was asked.</p>\n";
    }
    text += "<div class=\"wide\"><table class=\"keep\"><tr><th>as experienced</th><th>n</th><th>p50</th><th>p90</th><th>p99</th><th>longest</th></tr>\n";
    for (name, spans) in [
        ("Entry: decision to exchange", &latency.entry),
        ("Response: exchange to answer", &latency.response),
        ("Round trip of a request", &latency.round_trip),
    ] {
        let _ = write!(text, "<tr><td>{name}</td><td>{}</td>", count(spans.count()));
        for percent in [50.0, 90.0, 99.0, 100.0] {
            let _ = write!(text, "<td>{}</td>", spent(spans, percent));
        }
        text += "</tr>\n";
    }
    text += "</table></div>\n";
    let negative = latency.entry.negative() + latency.response.negative();
    let mut notes = Vec::new();
    if latency.lost > 0 {
        notes.push(format!("Requests lost on the way: {}.", count(latency.lost)));
    }
    if negative > 0 {
        notes.push(format!("Spans left out because clocks disagree and they were negative: {}.", count(negative)));
    }
    if !notes.is_empty() {
        let _ = writeln!(text, "<p class=\"note\">{}</p>", notes.join(" "));
    }
    text + &moves(latency.moves)
}

fn moves([buy, sell]: [Moves; 2]) -> String {
    let both = buy.with(sell);
    if both.away.n() == 0 {
        return String::new();
    }
    let mut text = "<h3>Cost of latency</h3>\n<div class=\"wide\"><table class=\"keep\"><tr><th>mid from decision to first answer</th><th>orders</th>\
                    <th>against us, bps</th><th>either way, bps</th><th>stood still</th></tr>\n"
        .to_owned();
    let places = places_of([both.size.mean()]);
    for (name, moves, class) in [("Buys", &buy, ""), ("Sells", &sell, ""), ("Both", &both, " class=\"sum\"")] {
        let error = moves
            .away
            .error()
            .map_or(String::new(), |error| format!("<small>± {}</small>", float(Some(error), places)));
        let n = moves.away.n();
        let _ = writeln!(
            text,
            "<tr{class}><td>{name}</td><td>{}</td><td>{}{error}</td><td>{}</td><td>{}</td></tr>",
            count(n),
            float(moves.away.mean(), places),
            float(moves.size.mean(), places),
            share(moves.still, n),
        );
    }
    text + "</table></div>\n<p class=\"note\">The mid as received when the order was decided, and when its first answer was seen. Against us: up \
            for a buy, down for a sale; what an order that takes pays for being late, and by how far one that rests is left behind (below zero: \
            how far the market came towards it).</p>\n"
}

/// What fills realised.
pub fn closings(run: &Collector, unit: &str) -> String {
    let closings = run.closings();
    let mut text = "<h2>Profit by fill</h2>\n".to_owned();
    if closings.count == 0 {
        return text + "<p class=\"quiet\">No fill closed a position.</p>\n";
    }
    let net = closings.profit - closings.loss;
    let factor = (!closings.loss.is_zero()).then(|| closings.profit.as_f64() / closings.loss.as_f64());
    let all = [closings.profit, closings.loss, net, closings.best, closings.worst].map(|amount| amount.units());
    let places = decimals(all);
    let money = |units: i128| format!("<span class=\"{}\">{}</span>", sign(units), fixed(units, places));
    text += "<div class=\"two\"><table class=\"pairs keep\">\n";
    for (name, value) in [
        ("Fills that closed something", count(closings.count)),
        ("Won", format!("{} · {}", count(closings.won), share(closings.won, closings.count))),
        ("Lost", format!("{} · {}", count(closings.lost), share(closings.lost, closings.count))),
        ("Sum of profits", money(closings.profit.units())),
        ("Sum of losses", money((-closings.loss).units())),
        ("Realised, before fees", money(net.units())),
        ("Profits by losses", float(factor, 2)),
        ("Best", money(closings.best.units())),
        ("Worst", money(closings.worst.units())),
        ("Mean, bps of the closed value", float(closings.bps.mean(), 2)),
    ] {
        let _ = writeln!(text, "<tr><td>{name}</td><td>{value}</td></tr>");
    }
    text += "</table>\n<figure><figcaption>Realised, bps of the closed value</figcaption><div class=\"histogram\">";
    let most = closings.spread.iter().copied().max().unwrap_or(1).max(1);
    for (class, n) in closings.spread.iter().enumerate() {
        let tone = if class <= ZERO_EDGE { "sell" } else { "buy" };
        let height = *n as f64 / most as f64 * 84.0;
        let label = if *n > 0 { format!("<small>{}</small>", count(*n)) } else { String::new() };
        let _ = write!(text, "<div class=\"{tone}\" style=\"height:{height:.1}%\">{label}</div>");
    }
    text += "</div><div class=\"edges\">";
    for class in 0..=EDGES_BPS.len() {
        let name = match (class.checked_sub(1).map(|below| EDGES_BPS[below]), EDGES_BPS.get(class)) {
            (None, Some(edge)) => format!("&lt;{}", float(Some(*edge), 0)),
            (Some(edge), _) => format!("≥{}", float(Some(edge), 0)),
            (None, None) => String::new(),
        };
        let _ = write!(text, "<span>{name}</span>");
    }
    let _ = writeln!(
        text,
        "</div></figure></div>\n<p class=\"note\">At average cost, before fees, in {unit}: a fill realises what the quantity it closes brought, less what that \
         quantity cost on average.</p>"
    );
    text
}

/// Kinds of fills: name, class, resting or taking, bought or sold.
const KINDS: [(&str, &str, bool, Side); 4] = [
    ("Maker buys", "buy", true, Side::Buy),
    ("Maker sells", "sell", true, Side::Sell),
    ("Taker buys", "buy taker", false, Side::Buy),
    ("Taker sells", "sell taker", false, Side::Sell),
];

/// Means of fewer are in the table alone.
const DRAWN_LEAST: u64 = 10;

/// Where [`EDGES_BPS`] is zero: classes up to here lost.
const ZERO_EDGE: usize = 5;
const _: () = assert!(EDGES_BPS[ZERO_EDGE] == 0.0, "classes up to the edge at zero lost");
