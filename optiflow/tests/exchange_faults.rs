//! The liar over real loopback sockets: what a client sees byte by byte; and the command's file and report.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use optiflow::exchange::{ExchangeOptions, Running, start};
use optiflow_sim::binance::faults::{Fault, Faults, RATE_ONE, Rule};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// An exchange on which this always strikes.
fn exchange(fault: Fault, span: Duration, seed: u64, tls: bool) -> Running {
    let faults = Faults::none(seed).with(Rule { span, ..Rule::new(fault, RATE_ONE) });
    exchange_with(faults, tls)
}

fn exchange_with(faults: Faults, tls: bool) -> Running {
    let market = "metronome:20ms".to_owned();
    start(ExchangeOptions { port: 0, market, seed: 5, speed: 1.0, tls, folder: None, faults, reaction: false }).unwrap()
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.rest.split("://").nth(1).unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What came back for a request, how it ended, and how long it took.
fn ask(stream: &mut (impl Read + Write), path: &str) -> (String, &'static str, Duration) {
    let begun = Instant::now();
    let sent = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let mut byte = [0; 1];
    let end = loop {
        if is_whole(&answer) {
            break "whole";
        }
        match stream.read(&mut byte) {
            Ok(0) => break "closed",
            Ok(_) => answer.push(byte[0]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break "silence",
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break "truncated",
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break "closed",
            Err(error) => panic!("{error} after {sent:?}"),
        }
    };
    (String::from_utf8(answer).unwrap(), end, begun.elapsed())
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
}

#[test]
fn every_way_of_answering_reaches_the_client_as_bytes() {
    let span = Duration::from_millis(400);
    for (fault, status, end, least) in [
        (Fault::UnknownExecuted, "503", "whole", 0),
        (Fault::TimeoutNotExecuted, "408", "whole", 0),
        (Fault::ServiceUnavailable, "503", "whole", 0),
        (Fault::TooManyRequests, "429", "whole", 0),
        (Fault::Banned, "418", "whole", 0),
        (Fault::Forbidden, "403", "whole", 0),
        (Fault::LostRequest, "", "closed", 0),
        (Fault::LostReply, "", "silence", 700),
        (Fault::SlowReply, "200", "whole", 300),
        (Fault::LateReply, "200", "whole", 0),
    ] {
        let running = exchange(fault, span, 3, false);
        let (answer, how, took) = ask(&mut connect(&running), "/fapi/v1/ping");
        assert_eq!((answer.get(9..12).unwrap_or(""), how), (status, end), "{}: {answer}", fault.name());
        assert!(took >= Duration::from_millis(least), "{} took {took:?}", fault.name());
        let (_, report) = running.finish();
        let struck = report.faults.iter().find(|(struck, _)| *struck == fault).unwrap().1;
        assert_eq!(struck, 1, "{}", fault.name());
    }
}

#[test]
fn what_is_refused_by_the_wall_bears_its_headers_and_its_own_kind_of_body() {
    let headers = |fault| {
        let running = exchange(fault, Duration::from_secs(90), 3, false);
        ask(&mut connect(&running), "/fapi/v1/ping").0
    };
    let answer = headers(Fault::Banned);
    assert!(answer.contains("retry-after: 90") && answer.contains("-1003"), "{answer}");
    let answer = headers(Fault::ServiceUnavailable);
    assert!(
        answer.contains("content-type: text/plain") && answer.ends_with("\r\n\r\nService Unavailable."),
        "{answer}"
    );
    let answer = headers(Fault::Forbidden);
    assert!(answer.contains("content-type: text/html") && answer.ends_with("</html>"), "{answer}");
}

#[test]
fn an_answer_can_be_cut_at_many_bytes_and_is_never_whole_on_a_living_connection() {
    let mut lengths = Vec::new();
    for seed in 0..12 {
        let running = exchange(Fault::CutReply, Duration::ZERO, seed, false);
        let mut stream = connect(&running);
        let (answer, how, _) = ask(&mut stream, "/fapi/v1/time");
        if how == "whole" {
            assert_eq!(ask(&mut stream, "/fapi/v1/time").1, "closed", "the connection ends in any case");
        }
        lengths.push(answer.len());
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() >= 8, "cut in many places: {lengths:?}");
}

#[test]
fn a_cut_under_tls_is_a_truncated_connection() {
    let mut seen = Vec::new();
    for seed in 0..8 {
        let running = exchange(Fault::CutReply, Duration::ZERO, seed, true);
        let (answer, how, _) = ask(&mut secure(&running), "/fapi/v1/time");
        assert!(how == "truncated" || how == "closed", "no orderly end: {how} {answer}");
        seen.push(answer.len());
    }
    assert!(seen.contains(&0), "a record that is cut gives no byte: {seen:?}");
}

fn secure(running: &Running) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(running.ca_file.as_ref().unwrap()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let connection = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    StreamOwned::new(connection, connect(running))
}

#[test]
fn refused_connects_break_before_anything_is_said() {
    let running = exchange(Fault::RefusedConnects, Duration::from_secs(3_600), 3, false);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let (answer, how, _) = ask(&mut connect(&running), "/fapi/v1/ping");
        if (answer.as_str(), how) == ("", "closed") {
            return;
        }
        assert!(
            answer.contains("200 OK") && Instant::now() < deadline,
            "welcome until a second has ended: {how} {answer}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn socket(running: &Running, path: &str) -> WebSocket<TcpStream> {
    let url = format!("ws://localhost{path}");
    tungstenite::client(url, connect(running)).unwrap().0
}

/// Frames until the connection ends, falls silent, or has told enough.
fn frames(socket: &mut WebSocket<TcpStream>, enough: usize) -> (Vec<String>, &'static str) {
    let mut texts = Vec::new();
    while texts.len() < enough {
        match socket.read() {
            Ok(Message::Text(text)) => texts.push(text.to_string()),
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                return (texts, "silence");
            }
            Err(_) => return (texts, "broken"),
        }
    }
    (texts, "alive")
}

#[test]
fn order_sockets_fall_silent_break_and_dribble() {
    let span = Duration::from_millis(300);
    for (fault, count, end) in [
        (Fault::LostReply, 0, "silence"),
        (Fault::LostRequest, 0, "broken"),
        (Fault::SlowReply, 1, "alive"),
        (Fault::LateReply, 1, "alive"),
        (Fault::TimeoutExecuted, 1, "alive"),
    ] {
        let running = exchange(fault, span, 3, false);
        let mut socket = socket(&running, "/ws-fapi/v1");
        let begun = Instant::now();
        socket.send(Message::text(r#"{"id":7,"method":"time"}"#)).unwrap();
        let (texts, how) = frames(&mut socket, 1);
        assert_eq!((texts.len(), how), (count, end), "{}: {texts:?}", fault.name());
        assert!(texts.iter().all(|text| text.starts_with(r#"{"id":7,"#)), "{texts:?}");
        if fault == Fault::SlowReply {
            assert!(begun.elapsed() >= span / 2, "{:?}", begun.elapsed());
        }
    }
    let mut broken = 0;
    for seed in 0..8 {
        let running = exchange(Fault::CutReply, span, seed, false);
        let mut socket = socket(&running, "/ws-fapi/v1");
        socket.send(Message::text(r#"{"id":7,"method":"time"}"#)).unwrap();
        broken += usize::from(frames(&mut socket, 1).1 == "broken");
        assert_eq!(frames(&mut socket, 1).1, "broken", "in the frame or right behind it");
    }
    assert!(broken >= 5, "{broken} of 8 in the frame");
}

#[test]
fn stream_sockets_fall_silent_break_and_dribble() {
    let path = "/public/ws/btcusdt@bookTicker";
    for (fault, end) in
        [(Fault::DeadMarketStream, "silence"), (Fault::CutStream, "broken"), (Fault::SlowStream, "alive")]
    {
        let running = exchange(fault, Duration::from_secs(60), 3, false);
        if fault == Fault::SlowStream {
            let mut stream = connect(&running);
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(1_500));
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let (_, frame) = text.split_once("\r\n\r\n").unwrap();
            assert!((1..30).contains(&frame.len()), "a few bytes of the first event: {frame:?}");
            continue;
        }
        let (texts, how) = frames(&mut socket(&running, path), 5);
        assert_eq!(how, end, "{}: {texts:?}", fault.name());
    }
}

/// A folder of its own for each test, which goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `optiflow exchange`, asks for `path` a few times, ends it with SIGTERM.
fn command(arguments: &[&str], asks: usize) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["exchange", "--no-tls", "--json"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = Vec::new();
    let mut byte = [0; 1];
    let out = child.stdout.as_mut().unwrap();
    while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        first.push(byte[0]);
    }
    if let Ok(said) = serde_json::from_slice::<Value>(&first) {
        let address = said["rest"].as_str().unwrap().split("://").nth(1).unwrap().to_owned();
        for _ in 0..asks {
            let mut stream = TcpStream::connect(&address).unwrap();
            ask(&mut stream, "/fapi/v1/ping");
        }
    }
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_command_reads_its_file_and_tells_how_often_each_fault_struck() {
    let folder = Folder::new("file");
    let file = folder.file("faults.toml", "[[fault]]\nname = \"internal_error\"\nrate = 1\n");
    let output = command(&["--faults", &file], 3);
    assert!(output.status.success(), "{output:?}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["faults"], serde_json::json!({"internal_error": 3}), "{summary}");
    assert_eq!((&summary["orders"], &summary["wallet"]), (&0.into(), &"10000".into()));
}

#[test]
fn a_file_with_problems_is_refused_with_every_name_that_is_known() {
    let folder = Folder::new("problems");
    let file = folder.file("faults.toml", "[[fault]]\nname = \"lost_everything\"\nrate = 1.5\nsince = \"1s\"\n");
    let output = command(&["--faults", &file], 0);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    for fault in Fault::all() {
        assert!(said.contains(fault.name()), "{} in {said}", fault.name());
    }
    for part in ["lost_everything", "1.5 is outside 0 to 1", "since: unknown key", "docs/faults.md"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(command(&["--faults", "/no/such/file"], 0).status.code(), Some(2));
}

/// How long a client waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_millis(800);
