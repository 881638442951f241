//! Requests by frame, and the promise that a fault without a rate is none.

use super::*;
use crate::binance::tests::signed_frame;

/// What an order by frame comes to: status and code, or how the connection fares; then whether it was executed.
fn order_by_frame(world: &mut World, client_id: &str, more: &str) -> String {
    let order = [
        ("newClientOrderId", client_id),
        ("price", "83090.10"),
        ("quantity", "0.010"),
        ("side", "BUY"),
        ("symbol", "BTCUSDT"),
        ("timeInForce", "GTX"),
        ("type", "LIMIT"),
    ];
    let params: Vec<(&str, &str)> = order.into_iter().chain(more.split_once('=')).collect();
    let frame = signed_frame("\"one\"", "order.place", &params, world.now_ms);
    world.exchange.text(world.now(), ConnId(API), &frame);
    let answers: Vec<String> = world.outgoing(API).iter().map(|text| sketch_frame(text)).collect();
    let open = !world.exchange.core().open_orders(None).is_empty();
    format!("{}{}", answers.join(", "), if open { " executed" } else { "" })
}

fn sketch_frame(text: &str) -> String {
    let (mark, json) = match text.split_once('{') {
        Some((mark, _)) => (mark.split(' ').next().unwrap(), &text[mark.len()..]),
        None => (text.trim(), ""),
    };
    let Ok(answer) = serde_json::from_str::<Value>(json) else { return mark.to_owned() };
    let code = answer["error"]["code"].as_i64().map_or("ok".to_owned(), |code| code.to_string());
    assert_eq!(answer["id"], "one", "an answer bears the request's id");
    format!("{mark} {} {code}", answer["status"]).trim().to_owned()
}

#[test]
fn frames_are_answered_as_falsely_as_requests() {
    for (fault, expected) in [
        (Fault::UnknownExecuted, "503 -1000 executed"),
        (Fault::UnknownNotExecuted, "503 -1000"),
        (Fault::TimeoutExecuted, "408 -1007 executed"),
        (Fault::TimeoutNotExecuted, "408 -1007"),
        (Fault::BusErrorExecuted, "503 -1006 executed"),
        (Fault::InternalError, "503 -1001"),
        (Fault::ServiceUnavailable, "503 -1000"),
        (Fault::Throttled, "503 -1008"),
        (Fault::ShuttingDown, "503 -1016"),
        (Fault::TooManyRequests, "429 -1003"),
        (Fault::Banned, "418 -1003"),
        (Fault::TooManyOrders, "429 -1015"),
        (Fault::Forbidden, "200 ok executed"),
        (Fault::LostRequest, "cut 0"),
        (Fault::LostReply, " executed"),
        (Fault::CutReply, "cut 200 ok executed"),
        (Fault::LateReply, " executed"),
        (Fault::SlowReply, "dribble 200 ok executed"),
    ] {
        let mut world = struck_by(fault);
        assert_eq!(order_by_frame(&mut world, "a", ""), expected, "{}", fault.name());
        if fault == Fault::LateReply {
            world.wait(2_000);
            assert_eq!(sketch_frame(&world.outgoing(API)[0]), "200 ok", "it comes in the end");
        }
    }
}

#[test]
fn exits_by_frame_are_not_throttled() {
    let mut world = struck_by(Fault::Throttled);
    assert_eq!(order_by_frame(&mut world, "a", "reduceOnly=true"), "400 -2022", "nothing to reduce: it was looked at");
    assert_eq!(struck(&world, Fault::Throttled), 0);
}

#[test]
fn a_connection_that_was_cut_is_gone() {
    let mut world = struck_by(Fault::CutReply);
    assert_eq!(order_by_frame(&mut world, "a", ""), "cut 200 ok executed");
    end(&mut world);
    assert_eq!(order_by_frame(&mut world, "b", ""), " executed", "nobody answers there any more");
    assert_eq!(world.exchange.core().open_orders(None).len(), 1, "and nobody listens");
}

#[test]
fn answers_are_cut_everywhere() {
    let mut seen = [false; 3];
    for seed in 0..200 {
        let mut world = world();
        world.exchange.set_faults(world.now(), &Faults::none(seed).with(Rule::new(Fault::CutReply, RATE_ONE)));
        let answer = world.response(&format!("*POST /fapi/v1/order {ORDER}=a"));
        let Delivery::Cut { after_bytes } = answer.delivery else { panic!("{:?}", answer.delivery) };
        seen[(after_bytes * 3 / (answer.body.len() + 161)).min(2)] = true;
    }
    assert_eq!(seen, [true; 3], "in its head, in its body, near its end");
}

/// Everything that a busy client hears and is answered, in order.
fn transcript(faults: Option<&Faults>) -> Vec<String> {
    let mut world = world();
    if let Some(faults) = faults {
        world.exchange.set_faults(world.now(), faults);
    }
    let mut said = Vec::new();
    for round in 0..40 {
        for line in [
            format!("*POST /fapi/v1/order {ORDER}=o{round}"),
            "GET /fapi/v1/depth symbol=BTCUSDT&limit=5".to_owned(),
            "GET /fapi/v1/time".to_owned(),
            MARKET.to_owned(),
            format!("*GET /fapi/v1/order symbol=BTCUSDT&origClientOrderId=o{round}"),
            "*GET /fapi/v1/openOrders symbol=BTCUSDT".to_owned(),
            format!("*DELETE /fapi/v1/order symbol=BTCUSDT&origClientOrderId=o{round}"),
            "+PUT /fapi/v1/listenKey".to_owned(),
        ] {
            said.push(format!("{:?}", world.response(&line)));
        }
        said.push(order_by_frame(&mut world, &format!("f{round}"), ""));
        while let Some(frame) = world.exchange.take_outgoing() {
            said.push(format!("{frame:?}"));
        }
        said.push(format!("{:?}", world.exchange.next_due()));
        world.wait(331);
    }
    said
}

#[test]
fn without_rates_every_byte_is_as_it_was() {
    let zeros = Fault::all().fold(Faults::none(9), |faults, fault| faults.with(Rule::new(fault, 0)));
    assert_eq!(transcript(None), transcript(Some(&zeros)));
}

#[test]
fn the_same_seed_tells_the_same_lies() {
    let some = |seed| Fault::all().fold(Faults::none(seed), |faults, fault| faults.with(Rule::new(fault, 20_000)));
    assert_eq!(transcript(Some(&some(1))), transcript(Some(&some(1))));
    assert_ne!(transcript(Some(&some(1))), transcript(Some(&some(2))));
    assert_ne!(transcript(Some(&some(1))), transcript(None));
}

#[test]
fn no_drawn_profile_breaks_the_exchange_or_repeats_differently() {
    for seed in 0..60 {
        let faults = Faults::drawn(seed);
        assert_eq!(transcript(Some(&faults)), transcript(Some(&faults)), "seed {seed}");
    }
}
