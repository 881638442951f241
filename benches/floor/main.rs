//! The floor: the least that a client can do between a tick and an order over TLS and WebSockets, in one thread.
//!
//! It logs on, so that no order is signed; keeps the next order's frame ready; spins on the market socket; and as soon as
//! TLS gives it the first byte of a text frame it seals the frame and writes it: no parsing, no book, no risk, no log. Then,
//! at leisure, it cancels the order before, reads the answers and prepares the next frame. What the exchange measures of
//! it is what sockets, TLS and the kernel cost on this machine: the lower bound by the same ruler.
//! Usage: `floor EXCHANGE.json ORDERS`, where the file holds the line of `optiflow exchange --json`. Part of the benches, never
//! of the product.

mod line;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use optiflow_base::placement;
use ring::signature::Ed25519KeyPair;
use serde_json::Value;

use line::{Line, frame};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, orders] = arguments.as_slice() else { return Err("usage: floor EXCHANGE.json ORDERS".into()) };
    let said: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let cores = placement::usable_cores();
    if let Some(&core) = cores.last() {
        placement::pin(core)?;
    }
    let (accepted, refused) = run(&said, orders.parse()?)?;
    println!("floor: {accepted} orders accepted, {refused} refused");
    Ok(())
}

/// Answers so many ticks; says how many orders were accepted and refused.
fn run(said: &Value, orders: u32) -> Result<(u32, u32), Failure> {
    let text = |name: &str| said[name].as_str().ok_or(format!("the exchange's line has no {name}"));
    let address = text("rest")?.split("://").nth(1).ok_or("no address")?;
    let ca = Path::new(text("ca_file")?);
    let mut market = Line::open(address, ca, "/public/ws/btcusdt@bookTicker")?;
    let mut desk = Line::open(address, ca, "/ws-fapi/v1?returnRateLimits=false")?;
    log_on(&mut desk, text("api_key")?, Path::new(text("ed25519_key_file")?))?;
    let price = resting_price(&mut market)?;

    let mut counts = (0, 0);
    for number in 0..orders {
        let order = frame(place(number, &price).as_bytes());
        while !market.hears_text()? {
            std::hint::spin_loop();
        }
        desk.write(&order)?;
        // Measured up to here; the rest is leisure.
        let mut answers = 1;
        if number > 0 {
            desk.write(&frame(cancel(number - 1).as_bytes()))?;
            answers += 1;
        }
        for answer in desk.texts(answers, PATIENCE)? {
            let answer: Value = serde_json::from_str(&answer)?;
            if answer["id"].as_str().is_some_and(|id| id.starts_with('p')) {
                let count = if answer["status"] == 200 { &mut counts.0 } else { &mut counts.1 };
                *count += 1;
            }
        }
        market.drain()?;
    }
    desk.write(&frame(cancel(orders - 1).as_bytes()))?;
    desk.texts(1, PATIENCE)?;
    Ok(counts)
}

fn log_on(desk: &mut Line, api_key: &str, key_file: &Path) -> Result<(), Failure> {
    let pem = fs::read_to_string(key_file)?;
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>())?;
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|error| error.to_string())?;
    let time = now_ms()?;
    let signature = STANDARD.encode(key.sign(format!("apiKey={api_key}&timestamp={time}").as_bytes()));
    let params = serde_json::json!({"apiKey": api_key, "timestamp": time, "signature": signature});
    let logon = serde_json::json!({"id": "l", "method": "session.logon", "params": params});
    desk.write(&frame(logon.to_string().as_bytes()))?;
    let answers = desk.texts(1, PATIENCE)?;
    let accepted = answers.iter().any(|answer| answer.contains("\"status\":200"));
    if accepted { Ok(()) } else { Err(format!("the logon was refused: {answers:?}").into()) }
}

/// Five below the best bid: orders rest there and never trade.
fn resting_price(market: &mut Line) -> Result<String, Failure> {
    let told = market.texts(1, PATIENCE)?;
    let tick: Value = serde_json::from_str(told.first().ok_or("the market is silent")?)?;
    let bid: f64 = tick["b"].as_str().ok_or("a tick has a bid")?.parse()?;
    Ok(format!("{:.1}", bid - 5.0))
}

fn place(number: u32, price: &str) -> String {
    let time = now_ms().unwrap_or_default();
    format!(
        "{{\"id\":\"p{number}\",\"method\":\"order.place\",\"params\":{{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\
         \"type\":\"LIMIT\",\"timeInForce\":\"GTX\",\"quantity\":\"0.001\",\"price\":\"{price}\",\
         \"newClientOrderId\":\"floor-{number:08}\",\"selfTradePreventionMode\":\"EXPIRE_MAKER\",\
         \"timestamp\":{time},\"recvWindow\":5000}}}}"
    )
}

fn cancel(number: u32) -> String {
    let time = now_ms().unwrap_or_default();
    format!(
        "{{\"id\":\"c{number}\",\"method\":\"order.cancel\",\"params\":{{\"symbol\":\"BTCUSDT\",\
         \"origClientOrderId\":\"floor-{number:08}\",\"timestamp\":{time},\"recvWindow\":5000}}}}"
    )
}

fn now_ms() -> Result<u128, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A moment after which something has taken too long.
fn deadline(patience: Duration) -> Instant {
    Instant::now() + patience
}
