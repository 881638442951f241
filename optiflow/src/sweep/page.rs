//! `heatmap.html`: the sweep as one page that opens offline.
//!
//! The page is `page.html` with the runs put into it; it draws them itself, and fetches nothing. Never decides what is
//! good: it shows every metric.

use serde_json::{Value, json};

use super::axes::Axis;
use super::metrics::Metric;
use super::tables::Ranked;

/// What the page says of the sweep as a whole.
pub struct Title<'a> {
    /// Who traded.
    pub strategy: &'a str,
    /// What was traded.
    pub symbol: &'a str,
    /// Rows of the market.
    pub rows: u64,
    /// What the runs are sorted by.
    pub sort: Metric,
}

/// The page of `runs`, best first.
pub fn page(title: &Title<'_>, axes: &[Axis], runs: &[Ranked<'_>]) -> String {
    let axis = |axis: &Axis| {
        json!({
            "path": axis.path,
            "values": axis.values,
            "is_number": axis.values.iter().all(|value| value.parse::<f64>().is_ok()),
        })
    };
    let metric = |metric: Metric| json!({ "name": metric.name(), "more_is_better": metric.is_more_better() });
    let run = |run: &Ranked<'_>| {
        let values = Metric::ALL.map(|metric| metric.of(&run.row.metrics).map_or(Value::Null, Value::from));
        json!([run.choice, values, run.row.event_log_hash])
    };
    let data = json!({
        "strategy": title.strategy,
        "symbol": title.symbol,
        "rows": title.rows,
        "sort": title.sort.name(),
        "axes": axes.iter().map(axis).collect::<Vec<_>>(),
        "metrics": Metric::ALL.map(metric),
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
    });
    // Inside a script element, `<` could end it.
    let data = data.to_string().replace('<', "\\u003c");
    PAGE.replacen(STYLE_PLACE, STYLE, 1).replacen(PLACE, &data, 1)
}

const PAGE: &str = include_str!("page.html");
/// As the report of one run looks.
const STYLE: &str = include_str!("../report/style.css");
/// Where the style goes.
const STYLE_PLACE: &str = "/*THE_STYLE*/";
/// Where the data go.
const PLACE: &str = "\"THE_SWEEP\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_place_for_its_data_and_fetches_nothing() {
        assert_eq!((PAGE.matches(PLACE).count(), PAGE.matches(STYLE_PLACE).count()), (1, 1));
        let namespace = "http://www.w3.org/2000/svg";
        let elsewhere = PAGE.replace(namespace, "") + STYLE;
        for word in ["http:", "https:", "src=", "@import", "url(", "fetch("] {
            assert!(!elsewhere.contains(word), "{word}");
        }
        let words: Vec<Axis> = vec!["queue=</script>,log".parse().unwrap()];
        let title = Title { strategy: "grid", symbol: "BTCUSDT", rows: 1, sort: Metric::Equity };
        let page = page(&title, &words, &[]);
        assert!(!page.contains(PLACE) && page.contains("\\u003c/script>"), "words cannot end the script");
    }
}
