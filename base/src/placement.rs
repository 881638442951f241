//! Which rooms share a thread, on which core, and how that thread waits.
//!
//! The plan is a pure function of the usable cores and is tested as a table; pinning reads the mask back, because a
//! refused pin otherwise runs unpinned in silence. Rules: never two spinning threads on one core (4 ms hand-overs
//! were measured), never more spinning threads than cores, cold rooms never on a hot core unless there is only one.

use std::time::Duration;

use crate::stage::{Progress, Room};

/// How a thread waits when none of its stages has work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Never gives the core away: for a core of its own.
    Spin,
    /// Spins, and offers the core to others every so often.
    Yield,
    /// Sleeps briefly: cold rooms only.
    Park,
}

/// One thread: the rooms it steps in order, its core, its way of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Rooms, in the order in which an event crosses them.
    pub rooms: Vec<Room>,
    /// Core to pin to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// How it waits.
    pub wait: Wait,
}

/// Usable cores of this process, in ascending order. Call before anything is pinned: afterwards the answer is one core.
pub fn usable_cores() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

/// Places the rooms on `cores`, hot rooms last cores first; core 0 tends to serve interrupts, so it stays cold.
pub fn plan(cores: &[usize]) -> Vec<Seat> {
    use Room::{Control, Engine, Feed, Oms, Risk, Storage};
    let (hot, wait): (Vec<Vec<Room>>, Wait) = match cores.len() {
        0..=2 => (vec![vec![Feed, Engine, Risk, Oms]], Wait::Yield),
        3 => (vec![vec![Feed, Engine], vec![Risk, Oms]], Wait::Spin),
        4 => (vec![vec![Feed], vec![Engine], vec![Risk, Oms]], Wait::Spin),
        _ => (vec![vec![Feed], vec![Engine], vec![Risk], vec![Oms]], Wait::Spin),
    };
    let cold_cores = cores.len().saturating_sub(hot.len());
    let mut seats = Vec::new();
    for (index, rooms) in hot.into_iter().enumerate() {
        let core = if cores.len() < 2 { None } else { cores.get(cold_cores + index).copied() };
        seats.push(Seat { rooms, core, wait });
    }
    let cold = |index: usize| if cores.len() < 2 { None } else { cores.get(index.min(cold_cores - 1)).copied() };
    seats.push(Seat { rooms: vec![Storage], core: cold(1), wait: Wait::Park });
    seats.push(Seat { rooms: vec![Control], core: cold(0), wait: Wait::Park });
    check(&seats);
    seats
}

fn check(seats: &[Seat]) {
    for seat in seats.iter().filter(|seat| seat.wait == Wait::Spin) {
        let sharing = seats.iter().filter(|other| other.core == seat.core).count();
        assert!(seat.core.is_some() && sharing == 1, "a spinning thread has a core of its own: {seats:?}");
    }
}

/// Pins the calling thread to `core` and reads the mask back.
///
/// # Errors
/// Says what the kernel answered when the thread is not where it should be.
pub fn pin(core: usize) -> Result<(), String> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(format!("pinning to core {core} was refused; is it in this process's CPU set?"));
    }
    let now = usable_cores();
    if now == [core] { Ok(()) } else { Err(format!("pinned to core {core}, but the kernel reports {now:?}")) }
}

/// Applies a [`Wait`] between steps.
#[derive(Debug)]
pub struct Waiter {
    wait: Wait,
    idle: u32,
}

/// Empty polls before a yielding thread offers its core.
const SPINS_BEFORE_YIELD: u32 = 1_000;
/// How long a cold thread sleeps when it has nothing to do.
const PARK: Duration = Duration::from_millis(1);

impl Waiter {
    /// A waiter that has not waited yet.
    pub const fn new(wait: Wait) -> Waiter {
        Waiter { wait, idle: 0 }
    }

    /// Waits as the policy says after a round that made `progress`.
    pub fn after(&mut self, progress: Progress) {
        if progress == Progress::Busy {
            self.idle = 0;
            return;
        }
        self.idle = self.idle.wrapping_add(1);
        match self.wait {
            Wait::Spin => std::hint::spin_loop(),
            Wait::Yield if self.idle.is_multiple_of(SPINS_BEFORE_YIELD) => std::thread::yield_now(),
            Wait::Yield => std::hint::spin_loop(),
            Wait::Park => std::thread::sleep(PARK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(cores: usize) -> String {
        let cores: Vec<usize> = (0..cores).collect();
        let seats = plan(&cores).into_iter().map(|seat| {
            let rooms: Vec<&str> = seat.rooms.iter().map(|room| room.name()).collect();
            let core = seat.core.map_or("any".to_owned(), |core| core.to_string());
            format!("{}@{core}:{:?}", rooms.join("+"), seat.wait)
        });
        seats.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rooms_are_placed_by_the_number_of_cores() {
        let table = [
            (1, "feed+engine+risk+oms@any:Yield storage@any:Park control@any:Park"),
            (2, "feed+engine+risk+oms@1:Yield storage@0:Park control@0:Park"),
            (3, "feed+engine@1:Spin risk+oms@2:Spin storage@0:Park control@0:Park"),
            (4, "feed@1:Spin engine@2:Spin risk+oms@3:Spin storage@0:Park control@0:Park"),
            (5, "feed@1:Spin engine@2:Spin risk@3:Spin oms@4:Spin storage@0:Park control@0:Park"),
            (6, "feed@2:Spin engine@3:Spin risk@4:Spin oms@5:Spin storage@1:Park control@0:Park"),
        ];
        for (cores, expected) in table {
            assert_eq!(sketch(cores), expected, "{cores} cores");
        }
    }

    #[test]
    fn a_pinned_thread_is_where_it_says() {
        let cores = usable_cores();
        let Some(&last) = cores.last() else { return };
        std::thread::spawn(move || pin(last).unwrap()).join().unwrap();
    }

    #[test]
    fn pinning_to_a_core_that_does_not_exist_is_an_error() {
        assert!(std::thread::spawn(|| pin(1_000)).join().unwrap().is_err());
    }
}
