//! Every order of arrival, on the order socket, the user stream and by REST, of up to six messages about one order leads
//! to the same end: each fill booked once, the order ended once, position and gate right.

use optiflow_base::ids::OrderId;
use optiflow_base::money::Qty;
use optiflow_base::order::{OrderChange, Usage};
use optiflow_base::rest::{RestCall, RestReply};
use serde_json::{Value as Json, json};

use super::far::{accepted, shown};
use super::world::{Manner, START_MS, World};
use super::*;

/// A message about the order, and the way it comes.
#[derive(Clone)]
enum Message {
    /// The order socket answers request number so and so of the test.
    Reply(usize, &'static str, &'static str),
    /// The user stream tells.
    Event(fn(&World, &str) -> Json),
    /// The query about the order is answered.
    Query(&'static str, &'static str),
}

/// What happened at the exchange, and every message about it.
struct Story {
    name: &'static str,
    /// A cancel is on its way as well.
    cancelled: bool,
    fills: &'static [(u64, &'static str)],
    position: &'static str,
    end: (&'static str, &'static str),
    messages: Vec<Message>,
    /// What is reported of the order in the end, in whatever order it became known.
    expected: &'static [&'static str],
}

fn stories() -> Vec<Story> {
    let lite: fn(&World, &str) -> Json = |world, client| {
        json!({"e": "TRADE_LITE", "E": START_MS, "T": START_MS, "s": "BTCUSDT", "q": "0.01", "p": "83000", "m": true,
            "c": client, "S": "BUY", "L": "83000", "l": "0.01", "t": 11, "i": world.orders[client].id})
    };
    let fresh: fn(&World, &str) -> Json = |world, client| world.order_event(client, "NEW", "NEW", "0", None);
    vec![
        Story {
            name: "filled at once",
            cancelled: false,
            fills: &[(11, "0.01")],
            position: "0.01",
            end: ("FILLED", "0.01"),
            messages: vec![
                Message::Reply(0, "NEW", "0"),
                Message::Event(lite),
                Message::Event(fresh),
                Message::Event(|world, client| {
                    world.order_event(client, "TRADE", "FILLED", "0.01", Some((11, "0.01")))
                }),
                Message::Event(|_, _| World::account_event("0.01", "9999.9")),
                Message::Query("FILLED", "0.01"),
            ],
            expected: &["Accepted", "Done", "Filled 11 0.01", "Sent", "Unknown"],
        },
        Story {
            name: "filled in two",
            cancelled: false,
            fills: &[(11, "0.004"), (12, "0.006")],
            position: "0.01",
            end: ("FILLED", "0.01"),
            messages: vec![
                Message::Reply(0, "PARTIALLY_FILLED", "0.004"),
                Message::Event(|world, client| {
                    world.order_event(client, "TRADE", "PARTIALLY_FILLED", "0.004", Some((11, "0.004")))
                }),
                Message::Event(|_, _| World::account_event("0.004", "9999.9")),
                Message::Event(|world, client| {
                    world.order_event(client, "TRADE", "FILLED", "0.01", Some((12, "0.006")))
                }),
                Message::Event(|_, _| World::account_event("0.01", "9999.8")),
                Message::Query("PARTIALLY_FILLED", "0.004"),
            ],
            expected: &["Accepted", "Done", "Filled 11 0.004", "Filled 12 0.006", "Sent", "Unknown"],
        },
        Story {
            name: "cancelled after a part",
            cancelled: true,
            fills: &[(11, "0.004")],
            position: "0.004",
            end: ("CANCELED", "0.004"),
            messages: vec![
                Message::Reply(0, "NEW", "0"),
                Message::Reply(1, "CANCELED", "0.004"),
                Message::Event(|world, client| {
                    world.order_event(client, "TRADE", "PARTIALLY_FILLED", "0.004", Some((11, "0.004")))
                }),
                Message::Event(|world, client| world.order_event(client, "CANCELED", "CANCELED", "0.004", None)),
                Message::Event(|_, _| World::account_event("0.004", "9999.9")),
                Message::Query("CANCELED", "0.004"),
            ],
            expected: &["Accepted", "Cancelled", "Filled 11 0.004", "Sent", "Unknown"],
        },
    ]
}

#[test]
fn filled_at_once_ends_the_same_in_every_order_of_arrival() {
    play_all(&stories()[0]);
}

#[test]
fn filled_in_two_ends_the_same_in_every_order_of_arrival() {
    play_all(&stories()[1]);
}

#[test]
fn cancelled_after_a_part_ends_the_same_in_every_order_of_arrival() {
    play_all(&stories()[2]);
}

fn play_all(story: &Story) {
    let mut played = 0;
    permutations(&mut (0..story.messages.len()).collect(), 0, &mut |order| {
        play(story, order);
        played += 1;
    });
    assert_eq!(played, 720, "{}", story.name);
}

/// The order has been sent and has no answer in time; its query is on its way. Then the messages come, one a millisecond.
fn play(story: &Story, order: &[usize]) {
    let mut world = World::ready();
    world.stream_tells = false;
    world.manner = Manner::Mute;
    let id = world.place();
    world.run(1);
    world.manner = Manner::Keep;
    if story.cancelled {
        world.cancel(id);
    }
    world.held = Some(Vec::new());
    world.run_by(50, 2_150);
    let client = id.to_string();
    let exchange_id = world.orders[&client].id;
    for (trade, qty) in story.fills {
        world.trade_at_venue(*trade, exchange_id, qty);
    }
    world.set(&client, story.end.0, story.end.1);
    for &at in order {
        deliver(&mut world, &client, &story.messages[at]);
        world.run(1);
    }
    for call in world.held.take().unwrap_or_default() {
        world.on_call(&call);
    }
    world.run_by(50, 6_000);
    check(&world, story, id, order);
}

fn deliver(world: &mut World, client: &str, message: &Message) {
    let as_shown = |world: &World, status: &'static str, executed: &str| {
        let order = world.orders[client].clone();
        super::world::Resting { status, executed: executed.to_owned(), ..order }
    };
    match message {
        Message::Reply(request, status, executed) => {
            let number = world.requests[*request]["id"].clone();
            let reply = accepted(&number, &as_shown(world, status, executed));
            world.reply(reply);
        }
        Message::Event(event) => {
            let event = event(world, client);
            world.tell(&event);
        }
        Message::Query(status, executed) => {
            let body = shown(&as_shown(world, status, executed)).to_string();
            let is_query = |call: &RestCall| call.path == "/fapi/v1/order";
            // Whoever was answered otherwise before may not have asked.
            let held = world.held.as_mut().expect("calls are held");
            if let Some(at) = held.iter().position(is_query) {
                let RestCall { token, path, .. } = held.remove(at);
                let now = world.clock.now();
                let body = body.into_bytes();
                let reply =
                    RestReply { token, path, status: 200, body, sent: now, received: now, usage: Usage::default() };
                world.replies.push(reply).unwrap();
            }
        }
    }
}

fn check(world: &World, story: &Story, id: OrderId, order: &[usize]) {
    let what = format!("{} {order:?}: {:?}", story.name, world.story(id));
    // Totals depend on which fill came first; cancels and their refusals on who was quicker.
    let short = |word: String| word.split('/').next().unwrap_or_default().to_owned();
    let told: Vec<String> = world.story(id).into_iter().map(short).collect();
    let ends = ["Done", "Cancelled", "Expired"];
    assert!(told.last().is_some_and(|last| ends.contains(&last.as_str())), "nothing follows the end: {what}");
    let mut told: Vec<String> =
        told.into_iter().filter(|word| !word.starts_with("Cancel") || word == "Cancelled").collect();
    told.sort_unstable();
    assert_eq!(told, story.expected, "{what}");
    let core = &world.oms.core;
    assert_eq!(core.desk.table.counts(), crate::table::Counts::default(), "{what}");
    assert_eq!(core.desk.positions.qty(super::world::BTC), Some(story.position.parse().unwrap()), "{what}");
    assert_eq!(as_readers_count(world).to_string(), story.position, "{what}");
    assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"), "{what}");
    assert_eq!(world.requests.len(), 1 + usize::from(story.cancelled), "nothing is sent twice: {what}");
}

/// What risk and engine believe to hold: they add fills up and adopt what they are told.
fn as_readers_count(world: &World) -> Qty {
    let mut held = Qty::ZERO;
    for report in &world.seen {
        match report {
            Report::Position { qty, .. } => held = *qty,
            Report::Order(event) => {
                if let OrderChange::Filled { qty, .. } = event.change {
                    held += qty;
                }
            }
            Report::Wallet { .. } | Report::Usage(_) | Report::Gate { .. } => {}
        }
    }
    held
}

fn permutations(items: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        visit(items);
        return;
    }
    for at in from..items.len() {
        items.swap(from, at);
        permutations(items, from + 1, visit);
        items.swap(from, at);
    }
}
