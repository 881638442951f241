//! Time: when ticks come, how marks and funding follow, and how fast a recording is replayed.

use super::*;
use crate::market;
use std::time::Instant;

fn market_times(desk: &mut Desk) -> String {
    let events = std::mem::take(&mut desk.events);
    let times = events.iter().filter_map(|event| match event {
        CoreEvent::Market(tick) => Some((tick.at.since(START) / 1_000_000, &tick.what)),
        CoreEvent::New(_)
        | CoreEvent::Fill { .. }
        | CoreEvent::Amended(_)
        | CoreEvent::Ended { .. }
        | CoreEvent::Liquidation { .. }
        | CoreEvent::Funding { .. } => None,
    });
    let text = times.map(|(ms, what)| match what {
        Tick::Snapshot { .. } => format!("s{ms}"),
        Tick::Depth { .. } => format!("d{ms}"),
        Tick::Trade { .. } => format!("t{ms}"),
        Tick::Top { .. } => format!("b{ms}"),
        Tick::Mark { mark, .. } => format!("m{ms}:{mark}"),
        Tick::Single { .. } => "?".to_owned(),
    });
    text.collect::<Vec<_>>().join(" ")
}

#[test]
fn ticks_come_when_they_are_due_at_any_speed() {
    let script = "100 book 1@99 | 1@101; 100.5 trade sell 1@99; 102 trade sell 1@99";
    let mut desk = Desk::with(script, |config| config.speed = 4.0);
    assert_eq!(desk.core.next_due(), Some(Nanos(START.0 + 125_000_000)));
    desk.until(0.124);
    assert_eq!(market_times(&mut desk), "");
    desk.until(0.125);
    assert_eq!(market_times(&mut desk), "t125");
    assert!(!desk.core.market_ended());
    desk.until(9.0);
    assert_eq!(market_times(&mut desk), "t500");
    assert!(desk.core.market_ended());
    assert_eq!(desk.core.next_due(), None);
}

#[test]
fn the_slowest_market_of_the_longest_recording_ends_beyond_all_time_and_nothing_else() {
    let script = "0 book 1@99 | 1@101; 9000000000 trade sell 1@99";
    for (speed, expected) in [(*SPEEDS.start(), u64::MAX), (*SPEEDS.end(), START.0 + 9_000_000_000_000)] {
        let mut desk = Desk::with(script, |config| config.speed = speed);
        assert_eq!(desk.core.exchange_time(desk.core.pending.as_ref().unwrap().at), Nanos(expected));
        desk.until(1.0);
    }
}

#[test]
fn marks_are_derived_from_the_middle_until_the_source_has_them() {
    let script = "0.2 book 1@99 | 1@101; 1.5 diff 0@99 1@100 |; 2.9 mark 100.2 0; 5 trade sell 1@99";
    let mut desk = Desk::new(script);
    desk.until(4.7);
    assert_eq!(market_times(&mut desk), "m1000:100 d1300 m2000:100.5 m2700:100.2");
    assert_eq!(desk.core.mark(0).mark.to_string(), "100.2");
    let (now, next) = (desk.now.millis(), desk.core.mark(0).next_funding_ms);
    assert!(next > now && next - now <= 8 * 3_600_000 && next % (8 * 3_600_000) == 0, "the calendar's next funding");
}

#[test]
fn years_between_two_recordings_are_not_counted_in_seconds() {
    let year = 31_536_000.0;
    let mut desk = Desk::new(&format!("0 book 1@99 | 1@101; {year} trade sell 1@99; {} trade sell 1@99", year + 1.25));
    desk.until(year + 3.0);
    let said = market_times(&mut desk);
    let marks = said.split(' ').filter(|word| word.starts_with('m')).count();
    // Two minutes of seconds, a year of fundings, and seconds again.
    assert!((1_200..1_300).contains(&marks), "{marks} marks");
    assert!(said.ends_with("t31536000000 m31536001000:100 t31536001250"), "{}", &said[said.len() - 80..]);
}

#[test]
fn funding_is_paid_when_the_mark_passes_its_time() {
    // The market's own funding time is 3 s after its first tick, which is at 10 s.
    let script = "10 book 5@59999.9 | 5@60000; 10 mark 60000 13000; 12 mark 60100 13000; 13 mark 60200 28813000";
    let mut desk = Desk::new(script);
    assert_eq!(desk.core.mark(0).next_funding_ms, START.millis() + 3_000);
    desk.place("A buy 1@60000 gtc").unwrap();
    desk.said();
    let before = desk.core.wallet();
    desk.until(2.9);
    assert_eq!(desk.said(), "");
    desk.until(3.0);
    assert_eq!(desk.said(), "funding -6.01");
    assert_eq!((before - desk.core.wallet()).to_string(), "6.01");
    assert_eq!(desk.core.unrealized(0).to_string(), "200");
}

#[test]
fn a_crossed_remainder_of_a_lost_diff_is_removed_and_told() {
    let mut desk = Desk::new("0 book 1@99 2@98 | 1@101; 1 diff | 3@98.5");
    desk.until(1.0);
    let CoreEvent::Market(MarketTick { what: Tick::Depth { bids, .. }, .. }) = &desk.events[0] else { panic!() };
    assert_eq!(bids.as_slice(), &[level("0@99")]);
    assert_eq!(desk.core.book(0).best(Side::Buy), Some(level("2@98")));
}

#[test]
fn a_recording_is_replayed_at_full_speed() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var("OPTIFLOW_SHARED").unwrap_or_else(|_| default.to_owned());
    let files = ["04.dat.gz", "05.dat.gz"].map(|day| format!("{root}/data/usdm/btcusdt_202304{day}"));
    if !std::path::Path::new(&files[0]).exists() {
        eprintln!("skipped: no recorded data at {}", files[0]);
        return;
    }
    let source = market::open(&files.join(","), 0).unwrap();
    let mut desk = Desk::new("");
    let config = CoreConfig { listings: source.listings().to_vec(), ..desk.core.config().clone() };
    desk.core = Core::new(config, source);
    let began = Instant::now();
    let (mut count, mut events) = (0, Vec::new());
    while let Some(due) = desk.core.next_due() {
        desk.core.advance(due, &mut events).unwrap();
        count += events.len();
        events.clear();
    }
    eprintln!("{count} ticks replayed in {:?}", began.elapsed());
    assert_eq!(count, 1 + 16_110 + 12_934 + 44_195 + 514);
    let book = desk.core.book(0);
    assert_eq!(book.levels(Side::Buy).next().map(|level| level.price), book.best(Side::Buy).map(|level| level.price));
}
