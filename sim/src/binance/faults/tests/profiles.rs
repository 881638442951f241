//! Profiles: names, windows, draws, ends.

use super::*;

#[test]
fn every_fault_is_found_by_its_name_and_stands_where_it_is_declared() {
    for (index, fault) in Fault::all().enumerate() {
        assert_eq!(fault as usize, index, "{}", fault.name());
        assert_eq!(Fault::named(fault.name()), Some(fault));
        assert!(!fault.what().is_empty() && fault.highest() >= 20);
    }
    assert_eq!(Fault::named("nonsense"), None);
    let mut names: Vec<&str> = Fault::all().map(Fault::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Fault::all().count());
}

#[test]
fn a_fault_strikes_in_its_window_only() {
    let mut world = world();
    let window = Rule {
        from: Duration::from_secs(10),
        until: Some(Duration::from_secs(20)),
        ..Rule::new(Fault::InternalError, RATE_ONE)
    };
    set(&mut world, window);
    let mut seen = Vec::new();
    for second in [9_999, 10_000, 19_999, 20_000] {
        world.wait(START_MS + second - world.now_ms);
        seen.push(world.code("GET /fapi/v1/ping"));
    }
    assert_eq!(seen, ["200", "503 -1001", "503 -1001", "200"]);
}

#[test]
fn two_rules_of_one_fault_strike_apart() {
    let mut world = world();
    let rule = |from: u64| Rule {
        from: Duration::from_secs(from),
        until: Some(Duration::from_secs(from + 1)),
        ..Rule::new(Fault::InternalError, RATE_ONE)
    };
    world.exchange.set_faults(world.now(), &Faults::none(1).with(rule(1)).with(rule(3)));
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(world.code("GET /fapi/v1/ping"));
        world.wait(1_000);
    }
    assert_eq!(seen, ["200", "503 -1001", "200", "503 -1001", "200"]);
}

#[test]
fn a_rate_is_kept() {
    let mut world = world();
    set(&mut world, Rule::new(Fault::InternalError, 100_000));
    for _ in 0..20 {
        for _ in 0..100 {
            world.response("GET /fapi/v1/ping");
        }
        world.wait(60_000);
    }
    let struck = struck(&world, Fault::InternalError);
    assert!((140..=260).contains(&struck), "{struck} of 2000 at a tenth");
}

#[test]
fn what_lasts_ends_with_the_faults() {
    let mut world = world();
    let all = Fault::all().filter(|fault| matches!(fault.per(), Per::Order | Per::Second | Per::Event));
    let all = all.fold(Faults::none(3), |faults, fault| faults.with(Rule::new(fault, RATE_ONE)));
    world.exchange.set_faults(world.now(), &all);
    world.body(&format!("*POST /fapi/v1/order {ORDER}=a"));
    world.wait(5_000);
    end(&mut world);
    assert_eq!(world.code("*GET /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a"), "200");
    assert_eq!(world.body("GET /fapi/v1/time"), format!("{{\"serverTime\":{}}}", world.now_ms));
    assert!(!world.exchange.refuses_connects(world.now()));
    let key: Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    world.exchange.open(world.now(), ConnId(9), &path, PEER).unwrap();
    world.body("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=a");
    assert_eq!(heard(&mut world, 9), "ORDER_TRADE_UPDATE CANCELED");
}

#[test]
fn frames_that_were_held_leave_after_the_faults_have_ended() {
    let mut world = struck_by(Fault::LateOrderUpdate);
    world.body(&format!("*POST /fapi/v1/order {ORDER}=a"));
    assert_eq!(heard(&mut world, USER), "");
    end(&mut world);
    let due = world.exchange.next_due().unwrap();
    assert!(due <= Nanos::from_millis(world.now_ms + 2_000), "the driver learns when to come back");
    world.wait(2_000);
    assert_eq!(heard(&mut world, USER), "ORDER_TRADE_UPDATE NEW");
}

#[test]
fn drawn_profiles_leave_about_half_out_and_keep_their_bounds() {
    assert_eq!(Faults::drawn(7), Faults::drawn(7));
    assert_ne!(Faults::drawn(7), Faults::drawn(8));
    let profiles: Vec<Faults> = (0..400).map(Faults::drawn).collect();
    for fault in Fault::all() {
        let rates: Vec<u32> = profiles
            .iter()
            .flat_map(|profile| profile.rules().iter().filter(|rule| rule.fault == fault))
            .map(|rule| rule.rate)
            .collect();
        let often = rates.iter().filter(|rate| **rate >= fault.highest() / 4).count();
        assert!((140..=260).contains(&rates.len()), "{} is in {} of 400", fault.name(), rates.len());
        assert!((20..=90).contains(&often), "{} is frequent in {often} of 400", fault.name());
        assert!(rates.iter().all(|rate| (1..=fault.highest()).contains(rate)), "{}", fault.name());
    }
}

#[test]
fn a_profile_can_be_ended_and_thinned() {
    let end = Duration::from_secs(600);
    let faults = Faults::drawn(3).ending(end).without(Fault::Banned);
    assert!(faults.rules().iter().all(|rule| rule.until == Some(end) && rule.fault != Fault::Banned));
    let earlier = Duration::from_secs(60);
    assert!(faults.clone().ending(earlier).ending(end).rules().iter().all(|rule| rule.until == Some(earlier)));
}
