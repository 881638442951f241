//! Against a scripted server: what is asked, in which order, and when it counts as proven.

use optiflow_base::clock::VirtualClock;

use super::*;
use crate::binance::rest::{answer, client, server};

const NOTHING: &str = "[]";

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

fn order(id: u64, client: &str) -> String {
    format!(
        r#"{{"symbol":"BTCUSDT","orderId":{id},"clientOrderId":"{client}","side":"BUY","origQty":"0.01","price":"5"}}"#
    )
}

fn algo(id: u64) -> String {
    format!(
        r#"{{"symbol":"ETHUSDT","algoId":{id},"clientAlgoId":"a","side":"SELL","quantity":"1","triggerPrice":"9"}}"#
    )
}

fn position(qty: &str) -> String {
    format!(r#"[{{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":"{qty}","entryPrice":"5"}}]"#)
}

/// One look: open orders, conditional ones, positions.
fn look(orders: &str, algos: &str, positions: &str) -> Vec<String> {
    vec![ok(orders), ok(algos), ok(positions)]
}

struct Ran {
    end: End,
    asked: Vec<String>,
    deeds: Vec<Deed>,
    waited: Vec<Duration>,
    stubborn: u32,
}

fn run(wanted: &Wanted, answers: Vec<String>) -> Ran {
    let (base, heads) = server(answers);
    let clock = VirtualClock::new(Nanos::from_millis(1_000));
    let (mut deeds, mut waited, mut stubborn) = (Vec::new(), Vec::new(), 0);
    let mut pause = |span: Duration| {
        waited.push(span);
        clock.advance_to(clock.now() + span);
    };
    let end = kill(&mut client(&base), &clock, wanted, &mut pause, &mut |deed| deeds.push(deed), &mut || stubborn += 1);
    let line = |head: String| head.split(" HTTP").next().unwrap_or_default().to_owned();
    let unsigned =
        |line: String| line.split("recvWindow=").next().unwrap_or_default().trim_end_matches(['&', '?']).to_owned();
    let asked = heads.try_iter().map(line).map(unsigned).collect();
    Ran { end, asked, deeds, waited, stubborn }
}

fn everything(flatten: bool) -> Wanted {
    Wanted { symbols: Vec::new(), flatten }
}

#[test]
fn everything_is_cancelled_and_two_empty_looks_are_the_proof() {
    let orders = format!("[{},{}]", order(1, "of-00000001-00000001"), order(2, "web_abc"));
    let mut answers = look(&orders, &format!("[{}]", algo(7)), &position("0.5"));
    answers.extend([ok("{}"), ok("{}")]);
    answers.extend(look(NOTHING, NOTHING, &position("0.5")));
    answers.extend(look(NOTHING, NOTHING, &position("0.5")));
    let ran = run(&everything(false), answers);
    assert!(ran.end.proven, "{:?}", ran.end);
    assert_eq!(ran.end.left.unwrap().held.len(), 1, "positions stay unless told otherwise");
    let all = ["GET /fapi/v1/openOrders", "GET /fapi/v1/openAlgoOrders", "GET /fapi/v3/positionRisk"];
    let cancels = ["DELETE /fapi/v1/allOpenOrders?symbol=BTCUSDT", "DELETE /fapi/v1/algoOpenOrders?symbol=ETHUSDT"];
    assert_eq!(ran.asked, [&all[..], &cancels[..], &all[..], &all[..]].concat());
    let gone = ran.deeds.iter().filter(|deed| matches!(deed, Deed::Gone(_))).count();
    assert_eq!(gone, 3, "told order by order: {:?}", ran.deeds);
    assert_eq!(ran.stubborn, 0);
}

#[test]
fn an_order_that_appears_between_the_looks_undoes_the_first_one() {
    let one = format!("[{}]", order(1, "of-1"));
    let mut answers = look(NOTHING, NOTHING, NOTHING);
    answers.extend(look(&one, NOTHING, NOTHING));
    answers.push(ok("{}"));
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    assert!(run(&everything(false), answers).end.proven);
}

#[test]
fn what_survives_is_cancelled_by_its_own_id_and_somebody_is_called_stubborn() {
    let stuck = format!("[{}]", order(1, "of-1"));
    let mut answers = Vec::new();
    answers.extend(look(&stuck, NOTHING, NOTHING));
    answers.push(ok("{}"));
    for _ in 0..3 {
        answers.extend(look(&stuck, NOTHING, NOTHING));
        answers.extend([ok("{}"), answer("400 Bad Request", "", r#"{"code":-2011,"msg":"Unknown order sent."}"#)]);
    }
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    let ran = run(&everything(false), answers);
    assert!(ran.end.proven);
    assert_eq!(ran.asked.iter().filter(|line| line.contains("order?symbol=BTCUSDT&orderId=1")).count(), 3);
    assert_eq!(ran.stubborn, 1);
}

#[test]
fn flattening_sends_reduce_only_market_orders_no_larger_than_allowed_until_nothing_is_held() {
    let info = r#"{"symbols":[{"symbol":"BTCUSDT","filters":[{"filterType":"MARKET_LOT_SIZE","maxQty":"2"}]}]}"#;
    let mut answers = look(NOTHING, NOTHING, &position("-3"));
    answers.extend([ok(info), answer("503 Service Unavailable", "", "Unknown error, please check your request.")]);
    // Nobody knows about the first: only the next look tells, and a second one can only reduce.
    answers.extend(look(NOTHING, NOTHING, &position("-1")));
    answers.extend([ok(info), ok("{}")]);
    answers.extend(look(NOTHING, NOTHING, &position("0")));
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    let ran = run(&everything(true), answers);
    assert!(ran.end.proven);
    let exits: Vec<&String> = ran.asked.iter().filter(|line| line.starts_with("POST")).collect();
    let begins = |line: &str, qty: &str| {
        line.starts_with(&format!(
            "POST /fapi/v1/order?symbol=BTCUSDT&side=BUY&type=MARKET&quantity={qty}&reduceOnly=true&newClientOrderId=ofk-"
        ))
    };
    assert!(exits.len() == 2 && begins(exits[0], "2") && begins(exits[1], "1"), "{exits:?}");
}

#[test]
fn one_side_of_a_hedge_is_closed_by_naming_it() {
    let hedge = r#"[{"symbol":"BTCUSDT","positionSide":"LONG","positionAmt":"2","entryPrice":"5"},
        {"symbol":"BTCUSDT","positionSide":"SHORT","positionAmt":"-1","entryPrice":"5"}]"#;
    let mut answers = look(NOTHING, NOTHING, hedge);
    answers.extend([ok("{}"), ok("{}"), ok("{}")]);
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    let ran = run(&everything(true), answers);
    assert!(ran.end.proven);
    assert!(ran.asked.iter().any(|line| line.contains("side=SELL&type=MARKET&quantity=2&positionSide=LONG&")));
    assert!(ran.asked.iter().any(|line| line.contains("side=BUY&type=MARKET&quantity=1&positionSide=SHORT&")));
}

#[test]
fn only_named_symbols_are_touched() {
    let wanted = Wanted { symbols: vec![SymbolName::from("BTCUSDT").unwrap()], flatten: true };
    let held = r#"[{"symbol":"ETHUSDT","positionSide":"BOTH","positionAmt":"2","entryPrice":"5"}]"#;
    let mut answers = look(NOTHING, NOTHING, held);
    answers.extend(look(NOTHING, NOTHING, held));
    let ran = run(&wanted, answers);
    assert!(ran.end.proven);
    let one = [
        "GET /fapi/v1/openOrders?symbol=BTCUSDT",
        "GET /fapi/v1/openAlgoOrders?symbol=BTCUSDT",
        "GET /fapi/v3/positionRisk",
    ];
    assert_eq!(ran.asked, [one, one].concat());
}

#[test]
fn silence_is_kept_when_asked_for_and_a_ban_that_is_too_long_is_told() {
    let limited = answer("429 Too Many Requests", "Retry-After: 9\r\n", r#"{"code":-1003,"msg":"Too many requests."}"#);
    let mut answers = vec![limited];
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    answers.extend(look(NOTHING, NOTHING, NOTHING));
    let ran = run(&everything(false), answers);
    assert!(ran.end.proven);
    assert!(ran.waited.iter().any(|span| *span >= Duration::from_secs(9)), "{:?}", ran.waited);
    let banned = answer("418 I'm a teapot", "Retry-After: 3600\r\n", r#"{"code":-1003,"msg":"banned"}"#);
    let ran = run(&everything(false), vec![banned]);
    assert!(!ran.end.proven && ran.end.problem.unwrap().contains("429 or 418"));
    assert_eq!(ran.asked.len(), 1, "nothing is asked during a ban");
}

#[test]
fn without_answers_nothing_is_proven_and_it_ends() {
    let broken = vec![answer("503 Service Unavailable", "", "Service Unavailable."); ROUNDS_MAX as usize];
    let ran = run(&everything(false), broken);
    assert!(!ran.end.proven && ran.end.left.is_none() && ran.end.problem.is_some());
    assert_eq!(ran.asked.len(), ROUNDS_MAX as usize, "bounded");
}

#[test]
fn a_refused_key_ends_it_at_once_with_the_reason_and_the_mend() {
    for (status, code) in [("401 Unauthorized", -2014), ("401 Unauthorized", -2015), ("400 Bad Request", -1022)] {
        let refused = || answer(status, "", &format!(r#"{{"code":{code},"msg":"no"}}"#));
        let ran = run(&everything(true), vec![refused(); 3]);
        let said = ran.end.problem.unwrap();
        assert!(!ran.end.proven && said.contains(&code.to_string()) && said.contains("permissions"), "{said}");
        assert_eq!((ran.asked.len(), ran.waited.len()), (1, 0), "{code}");
        // One that may look and not trade: everything is tried, once.
        let mut answers = look(&format!("[{}]", order(1, "of-1")), NOTHING, &position("1"));
        answers.extend([refused(), ok(r#"{"symbols":[]}"#), refused()]);
        answers.extend(look(NOTHING, NOTHING, NOTHING));
        let ran = run(&everything(true), answers);
        assert!(ran.end.problem.unwrap().contains(&code.to_string()) && ran.end.left.is_some());
        assert_eq!(ran.asked.len(), 6, "{:?}", ran.asked);
    }
}

#[test]
fn looks_never_use_up_the_weight_of_a_minute() {
    let stuck = format!("[{}]", order(1, "of-1"));
    let round = |_| look(&stuck, NOTHING, NOTHING).into_iter().chain([ok("{}"), ok("{}")]);
    let ran = run(&everything(false), (0..ROUNDS_MAX).flat_map(round).collect());
    assert!(!ran.end.proven);
    // In virtual time a look takes none: whatever is asked between two long waits is asked in one minute.
    let weights = ran.deeds.split(|deed| matches!(deed, Deed::Waiting { why: NO_WEIGHT, .. }));
    let cancels = |deeds: &[Deed]| deeds.iter().filter(|deed| matches!(deed, Deed::Cancel { .. })).count();
    // From the second round on there are two cancels to a look.
    let minutes: Vec<usize> = weights.map(|deeds| cancels(deeds).div_ceil(2) * 85 + cancels(deeds)).collect();
    assert!(minutes.len() > 1 && minutes.iter().all(|weight| *weight <= 2_400), "{minutes:?}");
}
