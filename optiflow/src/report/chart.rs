//! Curves as SVG that stretches with the page. Labels are text of the page, not of the drawing, so that they keep their
//! size at any width, and colours are classes, so that the page's light and dark themes and print decide them.
//!
//! Never reads text from outside: only numbers and words of this crate come here.

use std::fmt::Write;

use super::days::DAY_NS;
use super::html::{civil, decimals, fixed, float};
use super::series::Point;

/// A chart over time: one curve, and marks on it.
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Begin and end.
    pub span: (i64, i64),
    /// The curve.
    pub points: &'a [Point],
    /// How it is drawn.
    pub shape: Shape,
    /// Class of its colour.
    pub class: &'a str,
    /// Decimals of the values under the pointer.
    pub decimals: usize,
    /// Is zero always in view?
    pub from_zero: bool,
    /// Height in pixels.
    pub height: u32,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// From point to point.
    Line,
    /// A value holds until the next.
    Steps,
    /// From point to point, with the area to zero.
    Area,
}

/// Dots of one kind.
pub struct Dots {
    /// Class of their colour.
    pub class: &'static str,
    /// What they are.
    pub legend: &'static str,
    /// When, and where.
    pub points: Vec<Point>,
}

impl Chart<'_> {
    /// The chart as a figure, with `dots` on it. `data` is more for the pointer: `dt side qty price` and so on.
    pub fn figure(&self, dots: &[Dots], data: &str) -> String {
        let (low, high) = self.range(dots);
        let frame = Frame { span: self.span, low, high };
        let mut drawn = String::new();
        let flat = self.points.iter().all(|point| Some(point.1) == self.points.first().map(|first| first.1));
        let ticks = match self.points.first().filter(|_| flat) {
            // Of a curve that never moves only its height is worth a label.
            Some(first) => vec![first.1 as f64],
            None => ticks(low as f64, high as f64, (f64::from(self.height) / 45.0).max(3.0)),
        };
        let grid = ticks.iter().map(|tick| format!("M0 {}H{WIDTH}", frame.y(*tick as i128))).collect::<String>();
        let _ = write!(drawn, "<path class=\"grid\" d=\"{grid}\"/>");
        if low < 0 && high > 0 {
            let _ = write!(drawn, "<path class=\"zero\" d=\"M0 {}H{WIDTH}\"/>", frame.y(0));
        }
        self.draw(&frame, &mut drawn);
        let many = if dots.iter().map(|kind| kind.points.len()).sum::<usize>() > DOTS_LARGE_MAX { " many" } else { "" };
        for kind in dots.iter().filter(|kind| !kind.points.is_empty()) {
            let marks = kind.points.iter().map(|(at, value)| format!("M{} {}h0", frame.x(*at), frame.y(*value)));
            let _ = write!(drawn, "<path class=\"dots {}{many}\" d=\"{}\"/>", kind.class, marks.collect::<String>());
        }
        let legend: String = dots
            .iter()
            .filter(|kind| !kind.points.is_empty())
            .map(|kind| format!("<span class=\"key {}\">{}</span>", kind.class, kind.legend))
            .collect();
        let (title, height) = (self.title, self.height);
        format!(
            "<figure class=\"time\" data-start=\"{}\" data-span=\"{}\" data-points=\"{}\" data-low=\"{}\" data-high=\"{}\"{data}>\
             <figcaption>{title}{legend}</figcaption>\
             <div class=\"plot\" style=\"height:{height}px\">{}\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}\">{drawn}</svg>\
             <i class=\"cross\"></i><b class=\"tip\"></b></div>{}</figure>\n",
            self.span.0 / 1_000_000,
            (self.span.1 - self.span.0) / 1_000_000,
            self.pointed(),
            low as f64 / 1e8,
            high as f64 / 1e8,
            y_labels(&ticks, &frame),
            x_labels(self.span),
        )
    }

    fn range(&self, dots: &[Dots]) -> (i128, i128) {
        let all = || self.points.iter().chain(dots.iter().flat_map(|kind| &kind.points)).map(|point| point.1);
        let zero = self.from_zero.then_some(0);
        let low = all().chain(zero).min().unwrap_or(0);
        let high = all().chain(zero).max().unwrap_or(0);
        let room = if high > low { (high - low) / 20 } else { (high.abs() / 1_000).max(1_000) };
        // A curve that ends at zero ends at the edge; any other keeps off it.
        let below = if self.from_zero && low == 0 && high > 0 { 0 } else { room };
        let above = if self.from_zero && high == 0 && low < 0 { 0 } else { room };
        (low - below, high + above)
    }

    fn draw(&self, frame: &Frame, into: &mut String) {
        let Some((first, rest)) = self.points.split_first() else { return };
        let mut path = format!("M{} {}", frame.x(first.0), frame.y(first.1));
        for (at, value) in rest {
            let (x, y) = (frame.x(*at), frame.y(*value));
            let _ = match self.shape {
                Shape::Line | Shape::Area => write!(path, "L{x} {y}"),
                Shape::Steps => write!(path, "H{x}V{y}"),
            };
        }
        if self.shape != Shape::Line {
            let (last, zero) = (rest.last().unwrap_or(first), frame.y(0));
            let _ = write!(
                into,
                "<path class=\"area {}\" d=\"{path}L{} {zero}H{}Z\"/>",
                self.class,
                frame.x(last.0),
                frame.x(first.0)
            );
        }
        let _ = write!(into, "<path class=\"line {}\" d=\"{path}\"/>", self.class);
    }

    /// The curve for the pointer: ms since the begin, and the value as shown.
    fn pointed(&self) -> String {
        let start = self.span.0;
        let points = self.points.iter();
        let text = points.map(|(at, value)| format!("{} {}", (at - start) / 1_000_000, plain(*value, self.decimals)));
        text.collect::<Vec<_>>().join(";")
    }
}

/// A number for a script: no thousands apart, a plain minus.
pub fn plain(units: i128, decimals: usize) -> String {
    fixed(units, decimals).replace(',', "").replace('\u{2212}', "-")
}

struct Frame {
    span: (i64, i64),
    low: i128,
    high: i128,
}

impl Frame {
    fn x(&self, at: i64) -> i64 {
        let length = i128::from((self.span.1 - self.span.0).max(1));
        (i128::from(at - self.span.0) * i128::from(WIDTH) / length) as i64
    }

    fn y(&self, value: i128) -> i64 {
        ((self.high - value) * i128::from(HEIGHT) / (self.high - self.low).max(1)) as i64
    }
}

/// A curve over classes instead of time, such as horizons.
pub struct Curve {
    /// Class of its colour.
    pub class: &'static str,
    /// What it is.
    pub legend: &'static str,
    /// Value and its error by class; `None` where nothing was measured.
    pub points: Vec<Option<(f64, f64)>>,
}

/// Curves over `classes`, with bars of one error.
pub fn classes(title: &str, classes: &[&str], curves: &[Curve], height: u32) -> String {
    let known = || curves.iter().flat_map(|curve| curve.points.iter().flatten());
    let low = known().map(|(value, error)| value - error).fold(0.0, f64::min);
    let high = known().map(|(value, error)| value + error).fold(0.0, f64::max);
    let room = ((high - low) / 15.0).max(1e-3);
    let (low, high) = (low - room, high + room);
    let y = |value: f64| ((high - value) / (high - low) * HEIGHT as f64).round() as i64;
    let x = |class: usize, curve: usize| {
        // A little apart, so that the bars of the curves do not hide each other.
        let apart = (curve as i64 * 2 + 1 - curves.len() as i64) * 25;
        (2 * class as i64 + 1) * WIDTH / (2 * classes.len() as i64) + apart
    };
    let ticks = ticks(low * 1e8, high * 1e8, f64::from(height) / 45.0);
    let grid: String = ticks.iter().map(|tick| format!("M0 {}H{WIDTH}", y(tick / 1e8))).collect();
    let mut drawn = format!("<path class=\"grid\" d=\"{grid}\"/><path class=\"zero\" d=\"M0 {}H{WIDTH}\"/>", y(0.0));
    let mut legend = String::new();
    for (number, curve) in curves.iter().enumerate() {
        let points = curve.points.iter().enumerate().filter_map(|(class, point)| point.map(|point| (class, point)));
        let points: Vec<(i64, f64, f64)> =
            points.map(|(class, (value, error))| (x(class, number), value, error)).collect();
        let (mut line, mut bars, mut dots) = (String::new(), String::new(), String::new());
        for (x, value, error) in &points {
            let _ = write!(line, "{}{x} {}", if line.is_empty() { "M" } else { "L" }, y(*value));
            let _ = write!(bars, "M{x} {}V{}", y(value - error), y(value + error));
            let _ = write!(dots, "M{x} {}h0", y(*value));
        }
        let class = curve.class;
        let _ = write!(
            drawn,
            "<path class=\"bars {class}\" d=\"{bars}\"/><path class=\"line {class}\" d=\"{line}\"/><path class=\"dots {class}\" d=\"{dots}\"/>"
        );
        let _ = write!(legend, "<span class=\"key {class}\">{}</span>", curve.legend);
    }
    let labels: String = ticks
        .iter()
        .map(|tick| label(y(tick / 1e8), &float(Some(tick / 1e8), decimals_for(step_of(&ticks) / 1e8))))
        .collect();
    let names: String = classes
        .iter()
        .enumerate()
        .map(|(class, name)| {
            format!("<span style=\"left:{:.2}%\">{name}</span>", (class as f64 + 0.5) / classes.len() as f64 * 100.0)
        })
        .collect();
    format!(
        "<figure><figcaption>{title}{legend}</figcaption><div class=\"plot\" style=\"height:{height}px\">{labels}\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}\">{drawn}</svg></div>\
         <div class=\"below\">{names}</div></figure>\n"
    )
}

fn y_labels(ticks: &[f64], frame: &Frame) -> String {
    let decimals = match ticks {
        [only] => decimals([*only as i128]),
        ticks => decimals_for(step_of(ticks) / 1e8),
    };
    ticks.iter().map(|tick| label(frame.y(*tick as i128), &fixed(*tick as i128, decimals))).collect()
}

fn label(y: i64, text: &str) -> String {
    format!("<em style=\"top:{:.2}%\">{text}</em>", y as f64 / HEIGHT as f64 * 100.0)
}

fn step_of(ticks: &[f64]) -> f64 {
    if let [first, second, ..] = ticks { second - first } else { 1e8 }
}

fn decimals_for(step: f64) -> usize {
    (0..8).find(|decimals| step * 10f64.powi(*decimals) >= 0.999).unwrap_or(8) as usize
}

/// Round values between `low` and `high`, about as many as `wanted`.
fn ticks(low: f64, high: f64, wanted: f64) -> Vec<f64> {
    let rough = ((high - low) / wanted.max(2.0)).max(1.0);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let mut step = step.unwrap_or(10.0 * power);
    if (high / step).floor() - (low / step).ceil() < 1.0 {
        // Fewer than two: a label alone is no scale.
        step *= if step / power > 4.0 && step / power < 6.0 { 0.4 } else { 0.5 };
    }
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Times below a chart.
fn x_labels(span: (i64, i64)) -> String {
    let length = span.1 - span.0;
    let step = STEPS_S.iter().map(|step| step * 1_000_000_000).find(|step| length / step <= LABELS_MAX);
    let step = step.unwrap_or((length / LABELS_MAX / DAY_NS + 1) * DAY_NS);
    let mut labels = String::new();
    let mut at = (span.0 + step - 1).div_euclid(step) * step;
    while at <= span.1 {
        let left = (at - span.0) as f64 / length.max(1) as f64 * 100.0;
        let _ = write!(labels, "<span style=\"left:{left:.2}%\">{}</span>", time(at, step));
        at += step;
    }
    format!("<div class=\"below\">{labels}</div>")
}

fn time(at: i64, step: i64) -> String {
    let second = at.rem_euclid(DAY_NS) / 1_000_000_000;
    if step >= DAY_NS || second == 0 {
        let (year, month, day) = civil(at.div_euclid(DAY_NS));
        let month = MONTHS[month.clamp(1, 12) - 1];
        return if step >= 60 * DAY_NS { format!("{month} {year}") } else { format!("{day} {month}") };
    }
    let (hours, minutes) = (second / 3_600, second / 60 % 60);
    if step < 60_000_000_000 {
        format!("{hours:02}:{minutes:02}:{:02}", second % 60)
    } else {
        format!("{hours:02}:{minutes:02}")
    }
}

const WIDTH: i64 = 10_000;
const HEIGHT: i64 = 1_000;
const LABELS_MAX: i64 = 9;
/// More dots than this are drawn small.
const DOTS_LARGE_MAX: usize = 800;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Distances of times that people count in, seconds.
const STEPS_S: [i64; 21] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    1_209_600,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(-3.0e8, 17.0e8, 4.0), [0.0, 5.0e8, 10.0e8, 15.0e8]);
        assert_eq!(ticks(2.5e8, 2.9e8, 4.0).len(), 5);
        assert_eq!(ticks(-0.04e8, 0.04e8, 2.0), [-0.04e8, -0.02e8, 0.0, 0.02e8, 0.04e8], "never a quarter");
        assert_eq!((decimals_for(0.5), decimals_for(0.01), decimals_for(20.0)), (1, 2, 0));
    }

    #[test]
    fn a_chart_spans_its_time_and_its_values() {
        let minute = 60_000_000_000;
        let points = [(0, 0), (minute, 100_000_000), (2 * minute, -100_000_000)];
        let chart = Chart {
            title: "Equity",
            span: (0, 2 * minute),
            points: &points,
            shape: Shape::Line,
            class: "equity",
            decimals: 2,
            from_zero: true,
            height: 200,
        };
        let figure = chart.figure(&[], "");
        assert!(figure.contains("d=\"M0 500L5000 45L10000 954\""), "{figure}");
        assert!(figure.contains("data-points=\"0 0.00;60000 1.00;120000 -1.00\""), "{figure}");
        assert!(figure.contains("<span style=\"left:50.00%\">00:01:00</span>"), "{figure}");
        let empty = Chart { points: &[], span: (0, 0), ..chart }.figure(&[], "");
        assert!(empty.contains("</figure>"));
    }
}
