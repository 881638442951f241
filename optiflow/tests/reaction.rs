//! Reaction time as the exchange measures it from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use optiflow::exchange::{ExchangeOptions, Report, Running, start};
use optiflow_sim::binance::faults::Faults;
use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

fn exchange() -> Running {
    // Long enough for a machine with other things to do.
    let market = "metronome:60ms".to_owned();
    let faults = Faults::default();
    start(ExchangeOptions { port: 0, market, seed: 5, speed: 1.0, tls: false, folder: None, faults, reaction: true })
        .unwrap()
}

fn socket(address: &str, path: &str, agent: &str) -> WebSocket<TcpStream> {
    let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
    request.headers_mut().insert("User-Agent", agent.parse().unwrap());
    let stream = TcpStream::connect(address.split("://").nth(1).unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    tungstenite::client(request, stream).unwrap().0
}

/// A client that answers `count` ticks with orders, `burst` for each, after a pause. The orders are refused, unsigned as they
/// are: what is measured is their arrival.
fn react(address: &str, name: &str, pause: Duration, count: usize, burst: usize) {
    let mut market = socket(address, "/public/ws/btcusdt@bookTicker", name);
    let mut orders = socket(address, "/ws-fapi/v1", name);
    for tick in 0..count {
        await_tick(&mut market);
        std::thread::sleep(pause);
        for number in 0..burst {
            let order = format!(
                r#"{{"id":1,"method":"order.place","params":{{"symbol":"BTCUSDT","newClientOrderId":"{name}-{tick}-{number}"}}}}"#
            );
            orders.write(Message::text(order)).unwrap();
        }
        // All at once: no tick comes between them.
        orders.flush().unwrap();
        for _ in 0..burst {
            assert!(orders.read().unwrap().to_string().contains("-1102"));
        }
    }
}

/// A tick that comes when all orders before it have been answered. What came while the client was kept from running is passed
/// over: the ruler takes an order for the answer to the newest tick.
fn await_tick(market: &mut WebSocket<TcpStream>) {
    market.get_ref().set_nonblocking(true).unwrap();
    let read = std::iter::repeat_with(|| market.read()).find_map(Result::err);
    let Some(tungstenite::Error::Io(error)) = read else { panic!("{read:?}") };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    market.get_ref().set_nonblocking(false).unwrap();
    while !matches!(market.read().unwrap(), Message::Text(_)) {}
}

#[test]
fn clients_are_measured_apart_and_each_tick_counts_once() {
    let running = exchange();
    std::thread::scope(|scope| {
        scope.spawn(|| react(&running.rest, "prompt", Duration::ZERO, 40, 3));
        scope.spawn(|| react(&running.rest, "idle", Duration::from_millis(5), 40, 1));
    });
    let report = running.finish().1;
    let of = |name: &str| report.reactions.iter().find(|reaction| reaction.client == name).unwrap();
    assert_eq!((of("prompt").orders, of("idle").orders), (120, 40));
    assert_eq!((of("prompt").reactions.len(), of("idle").reactions.len()), (40, 40));
    let (prompt, idle) = (of("prompt").micros_at(0.5), of("idle").micros_at(0.5));
    assert!(idle >= 5_000.0, "its pause is part of its reaction: {idle} µs");
    assert!(prompt < idle, "{prompt} µs and {idle} µs");
    check_tables(&report);
}

fn check_tables(report: &Report) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reaction-{}.hgrm", std::process::id()));
    report.write_reactions(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for part in
        ["# client idle, user agent idle", "# client prompt", "Percentile TotalCount 1/(1-Percentile)", "#[Mean"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = Value::Object(report.json());
    assert_eq!(json["reactions"][1]["client"], "prompt", "{json}");
    for field in ["min_us", "p50_us", "p90_us", "p99_us", "p99.9_us", "max_us"] {
        assert!(json["reactions"][0][field].as_f64() > Some(0.0), "{field} in {json}");
    }
}

#[test]
fn an_exchange_that_does_not_measure_reports_no_reactions() {
    let faults = Faults::default();
    let market = "metronome:20ms".to_owned();
    let options =
        ExchangeOptions { port: 0, market, seed: 5, speed: 1.0, tls: false, folder: None, faults, reaction: false };
    let running = start(options).unwrap();
    react(&running.rest, "any", Duration::ZERO, 2, 1);
    assert!(running.finish().1.reactions.is_empty());
}

#[test]
fn the_command_writes_histograms_and_sums_them_up() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reaction-command-{}.hgrm", std::process::id()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["exchange", "--no-tls", "--json", "--market", "metronome:20ms", "--reaction"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    react(said["rest"].as_str().unwrap(), "bench", Duration::ZERO, 10, 1);
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    let summary: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((&summary["reactions"][0]["client"], &summary["reactions"][0]["orders"]), (&"bench".into(), &10.into()));
    let table = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(table.starts_with("# client bench, user agent bench, 10 orders"), "{table}");
}
