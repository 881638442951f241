//! What a session at the limits came to, in numbers and in words.

use std::fmt;
use std::time::Duration;

use super::ground::RATES;
use super::tally::{Minute, Tally, Waits};

/// The sums of a session.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Whole minutes that were compared.
    pub minutes: usize,
    /// Requests that the exchange refused with 429 or 418.
    pub refused: u64,
    /// Connections that it refused because there were too many attempts, and that it closed for too many messages.
    pub floods: (u64, u64),
    /// Connections that were cut, one by one or all at once.
    pub cuts: u64,
    /// Orders that the exchange counted, and weight.
    pub counted: [u64; 2],
    /// Orders of a minute by the exchange's count: fewest, of one minute in a hundred, of half of them, most.
    pub orders: [u32; 4],
    /// How far our count of weight was off, as a share of the exchange's: in the worst minute, in half of them.
    pub weight_off: [f64; 2],
    /// The same of orders.
    pub orders_off: [f64; 2],
    /// From decided to sent, of cancels and exits.
    pub waits: Waits,
    /// Cancels and exits that the limiter turned down.
    pub held_back: u64,
    /// Cancels that found neither an order socket nor REST open.
    pub cut_off: u64,
    /// Entries and amendments that it turned down.
    pub turned_down: u64,
}

impl Verdict {
    /// The sums of what was counted.
    pub fn new(tally: &Tally, refused: u64, floods: (u64, u64), cuts: u64) -> Verdict {
        let minutes: Vec<Minute> = tally.minutes().map(|(_, minute)| minute).collect();
        let mut orders: Vec<u32> = minutes.iter().map(|minute| minute.theirs.orders).collect();
        orders.sort_unstable();
        let at = |share: f64| orders.get((orders.len() as f64 * share) as usize).copied().unwrap_or_default();
        let sum = |of: fn(&Minute) -> u32| minutes.iter().map(|minute| u64::from(of(minute))).sum();
        Verdict {
            minutes: minutes.len(),
            refused,
            floods,
            cuts,
            counted: [sum(|minute| minute.theirs.orders), sum(|minute| minute.theirs.weight)],
            orders: [at(0.0), at(0.01), at(0.5), orders.last().copied().unwrap_or_default()],
            weight_off: off(&minutes, |minute| (minute.ours.weight, minute.theirs.weight)),
            orders_off: off(&minutes, |minute| (minute.ours.orders, minute.theirs.orders)),
            waits: tally.waits,
            held_back: tally.held_back,
            cut_off: tally.cut_off,
            turned_down: tally.turned_down,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        let Verdict { orders: [least, hundredth, half, most], counted: [orders, weight], .. } = self;
        writeln!(f, "{} refusals (429, 418), {} cuts, {:.1} h", self.refused, self.cuts, self.minutes as f64 / 60.0)?;
        writeln!(f, "{} connections too many, {} that sent too much", self.floods.0, self.floods.1)?;
        writeln!(
            f,
            "orders a minute of {}: {half} usually, {most} at most, {hundredth} in one minute of a hundred, {least} at least",
            RATES.orders_minute
        )?;
        writeln!(f, "counted by the exchange: {orders} orders, {weight} of weight")?;
        for (what, [worst, half]) in [("weight", self.weight_off), ("orders", self.orders_off)] {
            writeln!(
                f,
                "our count of {what}: {:.2} % off in the worst minute, {:.2} % usually",
                percent(worst),
                percent(half)
            )?;
        }
        let (Waits { count, longest, late }, cut_off) = (self.waits, self.cut_off);
        let longest = Duration::from_nanos(longest);
        writeln!(f, "{count} cancels and exits left, {late} later than 0.1 s, at worst {longest:?}")?;
        writeln!(f, "{cut_off} cancels found neither socket nor REST open")?;
        write!(f, "turned down by the limiter: {} entries, {} cancels and exits", self.turned_down, self.held_back)
    }
}

/// How far ours was from theirs, as a share of theirs: in the worst minute, and in half of them.
fn off(minutes: &[Minute], counts: impl Fn(&Minute) -> (u32, u32)) -> [f64; 2] {
    let share = |(ours, theirs): (u32, u32)| f64::from(ours.abs_diff(theirs)) / f64::from(theirs.max(1));
    let mut shares: Vec<f64> = minutes.iter().map(|minute| share(counts(minute))).collect();
    shares.sort_by(f64::total_cmp);
    [shares.last(), shares.get(shares.len() / 2)].map(|share| share.copied().unwrap_or_default())
}
