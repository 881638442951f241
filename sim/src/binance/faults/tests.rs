//! Every fault strikes, and this is what a client then sees; without a rate none of them changes a byte.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::binance::tests::{PEER, START_MS, World, header, trade};
use crate::binance::{ConnId, Delivery, Outgoing, Response};
use optiflow_base::clock::Nanos;
use optiflow_base::money::Side;

mod doors;
mod profiles;
mod symptoms;

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=83090.10&newClientOrderId";
const MARKET: &str = "*POST /fapi/v1/order symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010";
/// Connections of the user stream, of the market streams and of the WebSocket API.
const USER: u64 = 1;
const STREAM: u64 = 2;
const API: u64 = 3;

/// A world with a lively market and all three connections.
fn world() -> World {
    let later = (1..400).map(|n| trade(n * 100, 8_153_634_300 + n, "83091.60", "0.002", Side::Sell));
    let mut world = World::new(later.collect());
    let key: Value = serde_json::from_str(&world.body("+POST /fapi/v1/listenKey")).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    let paths = [(USER, path.as_str()), (STREAM, "/public/ws/btcusdt@trade/btcusdt@bookTicker"), (API, "/ws-fapi/v1")];
    for (conn, path) in paths {
        world.exchange.open(world.now(), ConnId(conn), path, PEER).unwrap();
    }
    world
}

/// A world in which `fault` always strikes from now on.
fn struck_by(fault: Fault) -> World {
    let mut world = world();
    set(&mut world, Rule::new(fault, RATE_ONE));
    world
}

fn set(world: &mut World, rule: Rule) {
    world.exchange.set_faults(world.now(), &Faults::none(1).with(rule));
}

fn end(world: &mut World) {
    world.exchange.set_faults(world.now(), &Faults::none(1));
}

fn struck(world: &World, fault: Fault) -> u64 {
    world.exchange.faults_struck().find(|(struck, _)| *struck == fault).unwrap().1
}

/// Status, code (or text that is no JSON), delivery where it is not whole, and `executed` when orders are open.
fn sketch(world: &World, response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let said = match serde_json::from_str::<Value>(&text) {
        Ok(body) => body["code"].as_i64().map_or("ok".to_owned(), |code| code.to_string()),
        Err(_) => text.into_owned(),
    };
    let delivery = match response.delivery {
        Delivery::Whole => String::new(),
        Delivery::Late(_) => " late".to_owned(),
        Delivery::Cut { .. } => " cut".to_owned(),
        Delivery::Never => " never".to_owned(),
        Delivery::Dribble { .. } => " dribbles".to_owned(),
    };
    let executed = if world.exchange.core().open_orders(None).is_empty() { "" } else { " executed" };
    format!("{} {said}{delivery}{executed}", response.status)
}

/// The kinds of the frames that a connection gets.
fn heard(world: &mut World, conn: u64) -> String {
    let mut kinds = Vec::new();
    for text in world.outgoing(conn) {
        let kind = text.split_once("\"e\":\"").map_or(text.as_str(), |(_, rest)| rest.split('"').next().unwrap());
        let state = text.split_once("\"X\":\"").map_or("", |(_, rest)| rest.split('"').next().unwrap());
        let mark =
            if text.starts_with("cut") || text.starts_with("dribble") { text.split(' ').next().unwrap() } else { "" };
        kinds.push(format!("{mark} {kind} {state}").trim().to_owned());
    }
    kinds.join(", ")
}
