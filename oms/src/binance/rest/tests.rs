//! The client against a scripted server on loopback: what is sent, and what every kind of answer becomes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use arrayvec::ArrayString;
use optiflow_base::clock::VirtualClock;
use optiflow_base::secret::Secret;

use super::*;

/// Answers one connection per entry, as written; the requests' heads come back through the channel.
pub(crate) fn server(answers: Vec<String>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (heads, seen) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            heads.send(head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = reader.read(&mut [0; 64]);
        }
    });
    (base, seen)
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn call(method: Method, path: &'static str, query: &str, auth: Auth) -> RestCall {
    RestCall { token: 5, method, path, query: ArrayString::from(query).unwrap(), auth, weight: 1 }
}

fn key() -> Arc<ApiKey> {
    let secret = Secret::new(b"2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9".to_vec());
    Arc::new(ApiKey::hmac("theApiKey", &secret).unwrap())
}

pub(crate) fn client(base: &str) -> RestClient {
    let time = ExchangeTime::new();
    time.set(1_000_000_000);
    RestClient::new(base, &Roots::WebPki, Some(key()), time).unwrap()
}

#[test]
fn calls_carry_what_their_kind_needs() {
    let headers = "X-MBX-USED-WEIGHT-1M: 12\r\nx-mbx-order-count-10s: 3\r\n";
    let (base, seen) = server(vec![answer("200 OK", headers, "{}"); 4]);
    let (mut client, clock) = (client(&base), VirtualClock::new(Nanos::from_millis(1_000)));
    let reply = client.perform(&call(Method::Get, "/fapi/v1/depth", "symbol=X&limit=5", Auth::Open), &clock);
    let expected = Usage { weight_minute: Some(12), orders_ten_seconds: Some(3), ..Usage::default() };
    assert_eq!((reply.status, reply.token, reply.body.as_slice(), reply.usage), (200, 5, &b"{}"[..], expected));
    let head = seen.recv().unwrap();
    assert!(head.starts_with("GET /fapi/v1/depth?symbol=X&limit=5 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains(&format!("user-agent: {USER_AGENT}")), "{head}");
    assert!(!head.to_lowercase().contains("x-mbx-apikey"), "an open call shows no key");

    client.perform(&call(Method::Post, "/fapi/v1/listenKey", "", Auth::Key), &clock);
    let head = seen.recv().unwrap();
    assert!(head.starts_with("POST /fapi/v1/listenKey HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("theApiKey") && !head.contains("signature"), "{head}");

    client.perform(&call(Method::Delete, "/fapi/v1/order", "symbol=X", Auth::Signed), &clock);
    let payload = "symbol=X&recvWindow=5000&timestamp=2000";
    let expected = format!("DELETE /fapi/v1/order?{payload}&signature={} HTTP/1.1\r\n", key().sign(payload.as_bytes()));
    assert!(seen.recv().unwrap().starts_with(&expected));

    client.perform(&call(Method::Get, "/fapi/v3/balance", "", Auth::Signed), &clock);
    assert!(seen.recv().unwrap().starts_with("GET /fapi/v3/balance?recvWindow=5000&timestamp=2000&signature="));
}

#[test]
fn silence_is_kept_after_a_limit_whoever_asks() {
    for (status, headers, pause_ms) in [
        ("429 Too Many Requests", "Retry-After: 7\r\n", 7_000),
        ("418 I'm a teapot", "Retry-After: 300\r\n", 300_000),
        ("429 Too Many Requests", "", 60_000),
        ("403 Forbidden", "", 120_000),
    ] {
        let (base, seen) = server(vec![answer(status, headers, "<html>"), answer("200 OK", "", "{}")]);
        let (mut client, clock) = (client(&base), VirtualClock::new(Nanos::from_millis(1_000)));
        let ping = call(Method::Get, "/fapi/v1/ping", "", Auth::Open);
        let until = Nanos::from_millis(1_000 + pause_ms);
        let first = client.perform(&ping, &clock);
        assert_eq!(first.usage.blocked_until, Some(until), "{status}");
        clock.advance_to(Nanos(until.0 - 1));
        let second = client.perform(&ping, &clock);
        assert_eq!((second.status, second.usage.blocked_until), (first.status, Some(until)));
        assert!(second.body.is_empty() && seen.try_iter().count() == 1, "nothing was sent");
        clock.advance_to(until);
        assert_eq!(client.perform(&ping, &clock).status, 200);
    }
}

#[test]
fn every_answer_is_told_as_it_is_and_no_answer_as_none() {
    let redirect = answer("302 Found", "Location: http://127.0.0.1:1/elsewhere\r\n", "");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort".to_owned();
    let large = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", BODY_LEN_MAX + 1);
    let table = [
        (answer("400 Bad Request", "", r#"{"code":-1121}"#), 400),
        (answer("503 Service Unavailable", "", "Service Unavailable."), 503),
        (redirect, 302),
        (cut, 0),
        (large + &"x".repeat(BODY_LEN_MAX + 1), 0),
        (String::new(), 0),
        ("rubbish\r\n\r\n".to_owned(), 0),
    ];
    for (answer, status) in table {
        let shown: String = answer.chars().take(60).collect();
        let (base, _seen) = server(vec![answer]);
        let reply = client(&base).perform(&call(Method::Get, "/x", "", Auth::Open), &VirtualClock::default());
        assert_eq!(reply.status, status, "{shown}");
    }
    let mut nobody = RestClient::new("http://127.0.0.1:1", &Roots::WebPki, None, ExchangeTime::new()).unwrap();
    let clock = VirtualClock::default();
    assert_eq!(nobody.perform(&call(Method::Get, "/x", "", Auth::Open), &clock).status, 0);
    assert_eq!(nobody.perform(&call(Method::Get, "/x", "", Auth::Signed), &clock).status, NO_KEY_STATUS);
}

#[test]
fn what_may_be_repeated_is_soon_given_up_and_a_slow_line_gets_more_time() {
    let question = call(Method::Get, "/fapi/v1/time", "", Auth::Open);
    let mut patience = Patience::default();
    let mut spans = Vec::new();
    for _ in 0..4 {
        spans.push(patience.of(&question).as_millis());
        patience.learn(true);
    }
    assert_eq!(spans, [2_500, 5_000, 10_000, 10_000]);
    patience.learn(false);
    let cancel = call(Method::Delete, "/fapi/v1/order", "", Auth::Signed);
    let key = call(Method::Post, "/fapi/v1/listenKey", "", Auth::Key);
    let order = call(Method::Post, "/fapi/v1/order", "", Auth::Signed);
    let brief = call(Method::Post, "/fapi/v1/order", "", Auth::SignedUntil(1_000));
    let spans = [&cancel, &key, &order, &brief].map(|call| patience.of(call).as_millis());
    assert_eq!(spans, [2_500, 2_500, 10_000, 2_500]);
}

#[test]
fn what_is_good_until_a_time_is_let_in_no_later_and_not_sent_when_it_is_late() {
    let (base, seen) = server(vec![answer("200 OK", "", "{}"); 2]);
    let (mut client, clock) = (client(&base), VirtualClock::new(Nanos::from_millis(10_000)));
    client.time.set(-2_000_000_000);
    let order = call(Method::Post, "/fapi/v1/order", "symbol=X", Auth::SignedUntil(9_000));
    for (at_ms, left_ms) in [(10_000, 1_000), (10_900, 100)] {
        clock.advance_to(Nanos::from_millis(at_ms));
        assert_eq!(client.perform(&order, &clock).status, 200);
        let payload = format!("symbol=X&recvWindow={left_ms}&timestamp={}", at_ms - 2_000);
        let expected = format!("POST /fapi/v1/order?{payload}&signature={} HTTP", key().sign(payload.as_bytes()));
        let head = seen.recv().unwrap();
        assert!(head.starts_with(&expected) && head.contains("theApiKey"), "{head}");
    }
    clock.advance_to(Nanos::from_millis(10_901));
    let reply = client.perform(&order, &clock);
    assert_eq!((reply.status, reply.usage, seen.try_iter().count()), (NOT_SENT, Usage::default(), 0));
}

#[test]
fn a_reply_that_never_comes_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(&format!("http://{}", listener.local_addr().unwrap()));
    client.limit_calls(Duration::from_millis(150));
    let began = std::time::Instant::now();
    let reply = client.perform(&call(Method::Get, "/x", "", Auth::Open), &VirtualClock::default());
    assert_eq!(reply.status, 0);
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(140) && waited < Duration::from_secs(2), "{waited:?}");
    assert_eq!(client.patience.given_up, 1, "the next one may take longer");
}

#[test]
fn base_urls_and_authorities_are_checked_at_once() {
    let make = |base: &str| RestClient::new(base, &Roots::WebPki, None, ExchangeTime::new());
    for good in ["https://fapi.binance.com", "https://fapi.binance.com/", "http://127.0.0.1:8080", "http://[::1]:80"] {
        assert!(make(good).is_ok(), "{good}");
    }
    for bad in ["", "fapi.binance.com", "ftp://x", "https://", "https://user@host", "https://host/path", "https://h?x"]
    {
        assert!(matches!(make(bad), Err(OmsError::BaseUrl(_))), "{bad}");
    }
    let absent = Roots::CaFile("/nonexistent/ca.pem".into());
    let error = RestClient::new("https://x", &absent, None, ExchangeTime::new()).err().unwrap();
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}

#[test]
fn a_host_is_looked_up_once_for_many_calls() {
    let (base, _seen) = server(vec![answer("200 OK", "", "{}"); 3]);
    let (mut client, clock) = (client(&base.replace("127.0.0.1", "localhost")), VirtualClock::default());
    let ping = call(Method::Get, "/fapi/v1/ping", "", Auth::Open);
    assert_eq!(client.names.renew_at(), Nanos(0), "not before it is needed");
    let mut renewals = Vec::new();
    for _ in 0..3 {
        assert_eq!(client.perform(&ping, &clock).status, 200);
        renewals.push(client.names.renew_at());
    }
    assert!(renewals[0] > Nanos(0) && renewals.iter().all(|at| *at == renewals[0]), "{renewals:?}");
}

#[test]
fn base64_signatures_travel_percent_encoded() {
    let mut url = String::new();
    percent_encode("3s/G+Q==", &mut url);
    assert_eq!(url, "3s%2FG%2BQ%3D%3D");
}

#[test]
fn what_one_client_is_told_binds_the_other_and_the_room_that_counts_hears_of_it() {
    let headers = "X-MBX-USED-WEIGHT-1M: 2401\r\nRetry-After: 7\r\n";
    let (base, seen) = server(vec![answer("429 Too Many Requests", headers, "{}"), answer("200 OK", "", "{}")]);
    let peace = Peace::new();
    let mut feed = client(&base).sharing(&peace).announcing();
    let mut orders = client(&base).sharing(&peace);
    let (clock, mut heard) = (VirtualClock::new(Nanos::from_millis(1_000)), 0);
    let ping = call(Method::Get, "/fapi/v1/ping", "", Auth::Open);
    let until = Nanos::from_millis(8_000);
    assert_eq!(feed.perform(&ping, &clock).usage.blocked_until, Some(until));
    let refused = orders.perform(&ping, &clock);
    assert_eq!((refused.status, refused.usage.blocked_until), (429, Some(until)));
    assert_eq!(seen.try_iter().count(), 1, "nothing was sent");
    let (usage, block) = peace.news(clock.now(), &mut heard).unwrap();
    assert_eq!((usage.weight_minute, usage.blocked_until), (Some(2_401), Some(until)));
    assert_eq!(block.map(|block| block.status), Some(429));
    clock.advance_to(until);
    assert_eq!(orders.perform(&ping, &clock).status, 200);
    assert_eq!(peace.news(clock.now(), &mut heard), None, "its own replies are heard by whoever asked");
}
