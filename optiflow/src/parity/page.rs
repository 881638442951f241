//! parity.html: the figures, how late or early first fills were, and the orders that differ; opens offline.

use std::fmt::Write as _;

use super::compare::{Class, Figures, Pair};
use super::output::Summary;

/// The page.
pub fn page(summary: &Summary, models: &[(String, Vec<Pair<'_>>)]) -> String {
    let mut page = String::with_capacity(PAGE_LEN);
    page.push_str(HEAD);
    // Writing to a String does not fail.
    let _ = write!(
        page,
        "<h1>Parity of session {}</h1><p>{} · market of {}</p><p>{} orders with {} modifications sent again on the captured market; left out: {} refused, {} of unknown fate, {} with a modification of unknown fate, {} outside the capture. Arrivals: {} named by the exchange, {} typical ({:.3} ms after sending). Delay added: {} ns.</p>",
        summary.session,
        escaped(&summary.database),
        escaped(&summary.capture),
        summary.orders,
        summary.modifications,
        summary.left_out.refused,
        summary.left_out.unknown,
        summary.left_out.modify_unknown,
        summary.outside_capture,
        summary.arrivals_named,
        summary.arrivals_typical,
        summary.travel.typical_ns as f64 / 1e6,
        summary.delay_ns
    );
    for note in summary.market.iter().filter(|note| note.gaps > 0) {
        let _ = write!(page, "<p class=bad>{}: {} gaps in the captured book</p>", escaped(&note.symbol), note.gaps);
    }
    figures(&mut page, &summary.models);
    for (queue, pairs) in models {
        let _ = write!(page, "<h2>{}</h2>", escaped(queue));
        times(&mut page, pairs);
        differing(&mut page, pairs);
    }
    page.push_str("</body></html>\n");
    page
}

fn figures(page: &mut String, models: &[Figures]) {
    page.push_str("<table><tr><th>queue<th>orders<th>outcome<th>same<th>partly<th>only real<th>only simulated<th>agreement<th>of filled<th>by value<th>price error bps<th>fill time p50 / p90 / p99 ms<th>P&amp;L real<th>simulated</tr>");
    for model in models {
        let _ = write!(page, "<tr><td>{}<td>{}<td><div class=bar>", escaped(&model.queue), model.orders);
        for (class, colour) in Class::ALL.into_iter().zip(COLOURS) {
            let width = 200.0 * model.count(class) as f64 / model.orders.max(1) as f64;
            let _ = write!(page, "<i title='{}' style='width:{width:.1}px;background:{colour}'></i>", class.name());
        }
        page.push_str("</div>");
        for class in Class::ALL {
            let _ = write!(page, "<td>{}", model.count(class));
        }
        let money = |amount: Option<f64>| amount.map_or("–".to_owned(), |amount| format!("{amount:.4}"));
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let error = model.price_error_bps.map_or("–".to_owned(), |error| format!("{error:.2}"));
        let time = model
            .fill_time_ms
            .map_or("–".to_owned(), |times| format!("{} / {} / {}", times.p50, times.p90, times.p99));
        let _ = write!(
            page,
            "<td>{}<td>{}<td>{}<td>{error}<td>{time}<td>{}<td>{}</tr>",
            percent(model.agreement),
            percent(model.agreement_of_filled),
            percent(model.agreement_by_value),
            money(model.profit_real),
            money(model.profit_simulated)
        );
    }
    page.push_str("</table>");
}

/// Simulated less real first fills, as a row of columns.
fn times(page: &mut String, pairs: &[Pair<'_>]) {
    let mut counts = [0_usize; EDGES_MS.len() + 1];
    for difference in pairs.iter().filter_map(Pair::time_difference) {
        counts[EDGES_MS.partition_point(|edge| *edge <= difference)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return;
    }
    let width = 60 * counts.len();
    let _ = write!(page, "<p>First fill, simulated less real, ms</p><svg width={width} height=120 font-size=11>");
    for (index, count) in counts.iter().enumerate() {
        let (x, height) = (60 * index, 80 * count / most);
        let label = match index {
            0 => format!("&lt; {}", EDGES_MS[0]),
            _ if index == EDGES_MS.len() => format!("≥ {}", EDGES_MS[index - 1]),
            _ => format!("{} …", EDGES_MS[index - 1]),
        };
        let _ = write!(
            page,
            "<rect x={} y={} width=40 height={height} fill='#4269d0'/><text x={} y={} text-anchor=middle>{count}</text><text x={} y=115 text-anchor=middle>{label}</text>",
            x + 10,
            98 - height,
            x + 30,
            94 - height,
            x + 30
        );
    }
    page.push_str("</svg>");
}

fn differing(page: &mut String, pairs: &[Pair<'_>]) {
    let all: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.class() != Class::Same).collect();
    if all.is_empty() {
        page.push_str("<p>Every order has the same outcome.</p>");
        return;
    }
    let shown = all.len().min(ROWS_MAX);
    let _ = write!(
        page,
        "<p>{} orders differ; {shown} of them:</p><table><tr><th>order<th>symbol<th>side<th>price<th>quantity<th>class<th>real<th>simulated<th>time difference ms</tr>",
        all.len()
    );
    for pair in all.into_iter().take(ROWS_MAX) {
        let sent = &pair.own.sent;
        let time = pair.time_difference().map_or(String::new(), |time| time.to_string());
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{time}</tr>",
            escaped(&sent.client_id),
            escaped(&sent.symbol),
            pair.own.side(),
            sent.price,
            pair.own.qty,
            pair.class().name(),
            pair.own.real.qty,
            pair.simulated.qty
        );
    }
    page.push_str("</table>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const HEAD: &str = "<!doctype html><html lang=en><head><meta charset=utf-8><title>OptiFlow parity</title><style>\
body{font:14px system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse;margin:1em 0}\
th,td{padding:3px 9px;border-bottom:1px solid #ddd;text-align:right}th{font-weight:600}\
td:first-child,th:first-child{text-align:left}.bar{display:flex;width:200px;height:12px}.bar i{display:block}\
.bad{color:#b00020}</style></head><body>";
const COLOURS: [&str; 4] = ["#3ca951", "#efb118", "#ff725c", "#a463f2"];
/// Bounds of the columns of time differences.
const EDGES_MS: [i64; 10] = [-1_000, -100, -10, -1, 0, 1, 10, 100, 1_000, 10_000];
/// Differing orders shown on the page; parity.csv has them all.
const ROWS_MAX: usize = 500;
const PAGE_LEN: usize = 64 * 1024;
