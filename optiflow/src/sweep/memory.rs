//! How much of memory a sweep's market may take: it is shared by all runs, so it must fit.
//!
//! Told before reading where it can be, and watched while reading. Never frees anything: what is over is an error.

use std::fs;
use std::str::FromStr;

use crate::problem::Problem;

/// How much of memory the rows may take: an amount, or a share of what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// So many bytes.
    Bytes(u64),
    /// So much of what is free when the sweep begins.
    Percent(u8),
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<MemoryLimit, String> {
        let wrong = || format!("{text:?} is no amount of memory; write 512MB, 8GB or 60%");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit: u64 = match unit.trim().to_ascii_uppercase().as_str() {
            "%" => {
                let percent = u8::try_from(number).ok().filter(|percent| (1..=100).contains(percent));
                return percent.map(MemoryLimit::Percent).ok_or_else(wrong);
            }
            "KB" | "K" => 1_000,
            "MB" | "M" => 1_000_000,
            "GB" | "G" => 1_000_000_000,
            "B" => 1,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).filter(|bytes| *bytes > 0).map(MemoryLimit::Bytes).ok_or_else(wrong)
    }
}

/// What rows may still take.
pub struct Room {
    limit: u64,
    taken: u64,
}

impl Room {
    /// By the limit given; by default a share of what is free.
    pub fn new(limit: Option<MemoryLimit>) -> Room {
        let limit = match limit.unwrap_or(MemoryLimit::Percent(PERCENT_USUAL)) {
            MemoryLimit::Bytes(bytes) => bytes,
            // Where the system does not tell, the system's own refusal is the limit.
            MemoryLimit::Percent(percent) => free().map_or(u64::MAX, |free| free / 100 * u64::from(percent)),
        };
        Room { limit, taken: 0 }
    }

    /// Is there room for so many rows of `size` bytes each?
    pub fn check(&self, rows: u64, size: usize) -> Result<(), Problem> {
        let wanted = self.taken.saturating_add(rows.saturating_mul(size as u64));
        if wanted <= self.limit {
            return Ok(());
        }
        Err(Problem::Usage(format!(
            "the rows would take {} ({size} B each), more than the {} that they may; a sweep shares them in memory, so give fewer files or a larger --memory",
            bytes(wanted),
            bytes(self.limit)
        )))
    }

    /// Takes it.
    pub fn take(&mut self, rows: usize, size: usize) -> Result<(), Problem> {
        self.check(rows as u64, size)?;
        self.taken += (rows * size) as u64;
        Ok(())
    }

    /// What was taken.
    pub const fn taken(&self) -> u64 {
        self.taken
    }
}

/// Bytes of memory that are free: of the machine, or of the group that this program may use.
fn free() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    let group =
        |name: &str| -> Option<u64> { fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok() };
    let group = group("memory.max").map(|most| most.saturating_sub(group("memory.current").unwrap_or(0)));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// An amount of memory in words.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// The rest is for the runs themselves, and for whatever else the machine does.
const PERCENT_USUAL: u8 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_or_refused() {
        for (text, expected) in [
            ("512MB", MemoryLimit::Bytes(512_000_000)),
            ("8 GB", MemoryLimit::Bytes(8_000_000_000)),
            ("64k", MemoryLimit::Bytes(64_000)),
            ("60%", MemoryLimit::Percent(60)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in ["", "8", "0MB", "101%", "0%", "-1GB", "8TB", "99999999999999GB"] {
            assert!(bad.parse::<MemoryLimit>().unwrap_err().contains("60%"), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_size() {
        let mut room = Room::new(Some(MemoryLimit::Bytes(240)));
        room.take(7, 24).unwrap();
        let told = room.take(4, 24).unwrap_err().to_string();
        assert!(told.contains("0.3 kB (24 B each), more than the 0.2 kB"), "{told}");
        room.take(3, 24).unwrap();
        assert!(room.check(1, 24).is_err() && room.taken() == 240);
    }
}
