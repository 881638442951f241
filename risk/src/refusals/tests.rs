use super::*;

const A: SymbolId = SymbolId(0);
const B: SymbolId = SymbolId(1);
const START: Nanos = Nanos::from_millis(1_680_000_000_000);

fn refusals() -> Refusals {
    Refusals::new(2, |code| code == -4120)
}

const fn at(ms: u64) -> Nanos {
    Nanos(START.0 + ms * 1_000_000)
}

/// Counts so many at once; how the last one ended.
fn count(refusals: &mut Refusals, now: Nanos, refusal: Refusal, times: u32) -> Option<Halt> {
    let mut halts = (0..times).map(|_| refusals.count(now, A, refusal)).collect::<Vec<_>>();
    let last = halts.pop().flatten();
    assert!(halts.iter().all(Option::is_none), "only the last one halts");
    last
}

#[test]
fn identical_refusals_pause_the_symbol_and_different_ones_do_not() {
    let margin = Refusal::Order(-2019);
    let mut refusals = refusals();
    for code in -2023..-2019 {
        assert_eq!(count(&mut refusals, at(0), Refusal::Order(code), IDENTICAL_MAX - 1), None);
    }
    assert_eq!(count(&mut refusals, at(0), margin, IDENTICAL_MAX - 1), None);
    assert_eq!(refusals.may_open(at(0), A), Ok(()));
    let until = at(0) + PAUSE_FIRST;
    assert_eq!(count(&mut refusals, at(0), margin, 1), Some(Halt { refusal: margin, until: Some(until) }));
    assert_eq!(refusals.may_open(until - Duration::from_nanos(1), A), Err(DenyReason::RepeatedRefusal));
    assert_eq!(refusals.may_open(until, A), Ok(()));
    assert_eq!(refusals.may_open(at(0), B), Ok(()), "each symbol for itself");
}

#[test]
fn what_is_spread_over_more_than_a_window_is_no_row() {
    let mut refusals = refusals();
    let every = WINDOW / (IDENTICAL_MAX - 1);
    let mut now = at(0);
    for _ in 0..100 {
        assert_eq!(refusals.count(now, A, Refusal::Order(-2019)), None);
        now = now + every;
    }
}

#[test]
fn each_pause_is_twice_as_long_up_to_a_bound_and_quiet_forgets() {
    let margin = Refusal::Order(-2019);
    let mut refusals = refusals();
    count(&mut refusals, at(0), margin, IDENTICAL_MAX);
    let mut now = at(1_000);
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        let until = now + Duration::from_secs(seconds);
        assert_eq!(refusals.count(now, A, margin), Some(Halt { refusal: margin, until: Some(until) }));
        assert_eq!(refusals.count(now, A, margin), None, "what is refused now left before the pause");
        now = until;
    }
    now = now + FORGOTTEN_AFTER;
    assert_eq!(count(&mut refusals, now, margin, IDENTICAL_MAX - 1), None);
    let until = now + PAUSE_FIRST;
    assert_eq!(count(&mut refusals, now, margin, 1), Some(Halt { refusal: margin, until: Some(until) }));
}

#[test]
fn after_a_pause_one_order_asks_and_the_others_wait_for_its_answer() {
    let margin = Refusal::Order(-2019);
    let mut refusals = refusals();
    count(&mut refusals, at(0), margin, IDENTICAL_MAX);
    refusals.accepted(at(500), A);
    refusals.opened(at(1_000), A);
    assert_eq!(refusals.may_open(at(1_001), A), Err(DenyReason::RepeatedRefusal), "an answer of before says nothing");
    assert_eq!(refusals.may_open(at(1_000) + PROBE_WAIT, A), Ok(()), "an answer may be lost");
    refusals.opened(at(3_000), A);
    refusals.accepted(at(3_010), A);
    assert_eq!(refusals.may_open(at(3_010), A), Ok(()), "healed");
    refusals.opened(at(3_010), A);
    assert_eq!(refusals.may_open(at(3_010), A), Ok(()), "no order is a probe any more");
    assert!(refusals.count(at(3_020), A, margin).is_some(), "but one more of the same pauses again");
    refusals.opened(at(5_020), A);
    assert!(refusals.count(at(5_030), A, margin).is_some(), "and so does the refusal of a probe");
}

#[test]
fn a_probe_that_is_refused_for_something_else_lets_the_next_one_ask_at_once() {
    let mut refusals = refusals();
    count(&mut refusals, at(0), Refusal::Order(-2019), IDENTICAL_MAX);
    refusals.opened(at(1_000), A);
    assert_eq!(refusals.may_open(at(1_010), A), Err(DenyReason::RepeatedRefusal));
    assert_eq!(refusals.count(at(1_010), A, Refusal::Order(-4164)), None);
    assert_eq!(refusals.may_open(at(1_010), A), Ok(()));
}

#[test]
fn what_waiting_does_not_heal_latches() {
    let withdrawn = Refusal::Order(-4120);
    let mut refusals = refusals();
    assert_eq!(count(&mut refusals, at(0), withdrawn, IDENTICAL_MAX), Some(Halt { refusal: withdrawn, until: None }));
    refusals.accepted(at(1), A);
    for days in 0..400 {
        let now = at(days * 86_400_000);
        assert_eq!(refusals.may_open(now, A), Err(DenyReason::RepeatedRefusal));
        assert_eq!(refusals.count(now, A, withdrawn), None, "told once");
    }
    assert_eq!(refusals.may_open(at(0), B), Ok(()));
}

#[test]
fn daily_bread_pauses_only_by_the_hundred_and_never_latches() {
    for daily in [Refusal::WouldTake, Refusal::Modify(-4120), Refusal::Modify(-5027)] {
        let mut refusals = refusals();
        let mut now = at(0);
        for seconds in [1, 2, 4, 8] {
            assert_eq!(count(&mut refusals, now, daily, DAILY_MAX - 1), None, "{daily:?}");
            let until = now + Duration::from_secs(seconds);
            assert_eq!(count(&mut refusals, now, daily, 1), Some(Halt { refusal: daily, until: Some(until) }));
            now = until;
            refusals.opened(now, A);
            assert_eq!(refusals.may_open(now, A), Ok(()), "no order is a probe: {daily:?}");
        }
    }
}

#[test]
fn more_kinds_than_there_is_room_for_forget_the_oldest() {
    let mut refusals = refusals();
    for code in 0..100 {
        assert_eq!(refusals.count(at(code as u64), A, Refusal::Order(-3_000 - code)), None);
    }
    let last = Refusal::Order(-1);
    assert_eq!(count(&mut refusals, at(200), last, IDENTICAL_MAX).map(|halt| halt.refusal), Some(last));
}
