//! The server shell over real loopback sockets, spoken to by library clients: HTTP, WebSocket, with TLS and without.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use optiflow::exchange::{ExchangeError, ExchangeOptions, Running, start};
use optiflow_sim::binance::faults::Faults;
use optiflow_sim::words::OrderStatus;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Pipe for S {}
type Boxed = Box<dyn Pipe>;
type Socket = WebSocketStream<Boxed>;

fn options(tls: bool) -> ExchangeOptions {
    let (market, faults) = ("synthetic".to_owned(), Faults::default());
    ExchangeOptions { port: 0, market, seed: 5, speed: 1.0, tls, folder: None, faults, reaction: false }
}

/// Runs a client against an exchange, within a time that no honest run needs.
fn with_exchange<F: Future<Output = ()>>(tls: bool, client: impl FnOnce(Client) -> F) -> Running {
    let running = start(options(tls)).unwrap();
    let client = client(Client::of(&running));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), client).await.expect("in time") });
    running
}

/// A client's view of the exchange: what it printed, and nothing else.
#[derive(Clone)]
struct Client {
    address: String,
    api_key: String,
    api_secret: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    fn of(running: &Running) -> Client {
        Client {
            address: running.rest.split("://").nth(1).unwrap().to_owned(),
            api_key: running.api_key.clone(),
            api_secret: running.api_secret.clone(),
            tls: running.ca_file.as_deref().map(trusting),
        }
    }

    async fn connect(&self) -> Boxed {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(TlsConnector::from(config.clone()).connect(name, stream).await.unwrap())
            }
        }
    }

    async fn socket(&self, path: &str) -> Result<Socket, Error> {
        let url = format!("ws://{}{path}", self.address);
        client_async(url, self.connect().await).await.map(|(socket, _)| socket)
    }

    fn signature(&self, payload: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.api_secret.as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Head and body of the answer to a request on an open connection.
    async fn request(&self, stream: &mut Boxed, method: &str, target: &str, body: &str) -> (String, String) {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nX-MBX-APIKEY: {}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.api_key,
            body.len()
        );
        stream.write_all((head + body).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() >= length.parse::<usize>().unwrap() {
                    return (head.to_owned(), body.to_owned());
                }
            }
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.unwrap();
            assert!(count > 0, "closed after {text:?}");
            answer.extend_from_slice(&chunk[..count]);
        }
    }

    async fn signed(&self, stream: &mut Boxed, method: &str, path: &str, query: &str) -> Value {
        let (_, time) = self.request(stream, "GET", "/fapi/v1/time", "").await;
        let time: Value = serde_json::from_str(&time).unwrap();
        let payload = format!("{query}&timestamp={}", time["serverTime"]);
        let target = format!("{path}?{payload}&signature={}", self.signature(&payload));
        let (_, body) = self.request(stream, method, &target, "").await;
        serde_json::from_str(&body).unwrap()
    }
}

fn trusting(ca_file: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// The next text frame of a socket.
async fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.expect("still open").unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn trade_round_trip(client: Client) {
    let mut rest = client.connect().await;
    let (head, body) = client.request(&mut rest, "GET", "/fapi/v1/time", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("x-mbx-used-weight-1m: 1"), "{head}");
    assert!(body.starts_with(r#"{"serverTime":"#), "{body}");
    let (head, body) = client.request(&mut rest, "GET", "/fapi/v1/depth?symbol=NOSUCH", "").await;
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("-1121"), "the same connection: {head} {body}");

    let mut book = client.socket("/public/ws/btcusdt@depth@100ms").await.unwrap();
    let (first, second) = (next(&mut book).await, next(&mut book).await);
    assert_eq!((&first["e"], &second["pu"]), (&Value::from("depthUpdate"), &first["u"]));

    let (_, key) = client.request(&mut rest, "POST", "/fapi/v1/listenKey", "").await;
    let key: Value = serde_json::from_str(&key).unwrap();
    let path = format!("/private/ws/{}", key["listenKey"].as_str().unwrap());
    let mut user = client.socket(&path).await.unwrap();

    let (_, depth) = client.request(&mut rest, "GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=5", "").await;
    let depth: Value = serde_json::from_str(&depth).unwrap();
    let price = depth["bids"][4][0].as_str().unwrap();
    let query = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price={price}&newClientOrderId=shell-1"
    );
    let placed = client.signed(&mut rest, "POST", "/fapi/v1/order", &query).await;
    assert_eq!(placed["status"], "NEW", "{placed}");
    let event = next(&mut user).await;
    assert_eq!((&event["e"], &event["o"]["x"]), (&Value::from("ORDER_TRADE_UPDATE"), &Value::from("NEW")));
    assert_eq!(event["o"]["i"], placed["orderId"]);

    let mut api = client.socket("/ws-fapi/v1").await.unwrap();
    let time = event["E"].as_u64().unwrap();
    let payload = format!("apiKey={}&origClientOrderId=shell-1&symbol=BTCUSDT&timestamp={time}", client.api_key);
    let cancel = serde_json::json!({"id": "c1", "method": "order.cancel", "params": {
        "apiKey": client.api_key, "origClientOrderId": "shell-1", "symbol": "BTCUSDT", "timestamp": time,
        "signature": client.signature(&payload),
    }});
    api.send(Message::text(cancel.to_string())).await.unwrap();
    let answer = next(&mut api).await;
    assert_eq!((&answer["id"], &answer["status"]), (&Value::from("c1"), &Value::from(200)), "{answer}");
    assert_eq!(next(&mut user).await["o"]["X"], "CANCELED");
}

fn check_ledger(running: Running) {
    let seen = running.ledger();
    let ledger = running.stop();
    assert_eq!(seen.orders, ledger.orders);
    assert_eq!(ledger.orders.len(), 1);
    assert_eq!((ledger.orders[0].client_id.as_str(), ledger.orders[0].status), ("shell-1", OrderStatus::Canceled));
    assert_eq!(ledger.open_orders().count(), 0);
    assert_eq!(ledger.wallet.to_string(), "10000");
}

#[test]
fn a_client_trades_over_plain_sockets() {
    check_ledger(with_exchange(false, trade_round_trip));
}

#[test]
fn a_client_trades_over_tls() {
    check_ledger(with_exchange(true, trade_round_trip));
}

#[test]
fn a_client_that_does_not_trust_the_ca_gets_nowhere() {
    let running = start(options(true)).unwrap();
    let other = start(ExchangeOptions { seed: 6, ..options(true) }).unwrap();
    let mut client = Client::of(&running);
    client.tls = other.ca_file.as_deref().map(trusting);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(&client.address).await.unwrap();
        let connector = TlsConnector::from(client.tls.clone().unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        assert!(connector.connect(name, stream).await.is_err());
    });
    let folder = running.ca_file.clone().unwrap();
    drop(running);
    assert!(!folder.exists(), "the temporary folder goes with the exchange");
}

#[test]
fn frames_arrive_as_they_were_subscribed_to() {
    drop(with_exchange(false, async |client| {
        let mut socket = client.socket("/public/stream").await.unwrap();
        let subscribe = r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker"],"id":1}"#;
        socket.send(Message::text(subscribe)).await.unwrap();
        assert_eq!(next(&mut socket).await, serde_json::json!({"result": null, "id": 1}));
        let frame = next(&mut socket).await;
        assert_eq!((&frame["stream"], &frame["data"]["e"]), (&"btcusdt@bookTicker".into(), &"bookTicker".into()));
        socket.send(Message::Ping(vec![7].into())).await.unwrap();
        loop {
            if let Message::Pong(payload) = socket.next().await.unwrap().unwrap() {
                return assert_eq!(payload.as_ref(), [7]);
            }
        }
    }));
}

#[test]
fn a_flood_of_requests_is_answered_and_then_closed_with_the_reason() {
    drop(with_exchange(false, async |client| {
        let mut socket = client.socket("/public/ws").await.unwrap();
        for id in 0..40 {
            let list = format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{id}}}"#);
            socket.send(Message::text(list)).await.unwrap();
        }
        let mut answers = 0;
        let reason = loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(_) => answers += 1,
                Message::Close(frame) => break frame.unwrap(),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        };
        assert!(answers >= 15, "{answers} answers");
        assert_eq!((u16::from(reason.code), reason.reason.as_str()), (1008, "Too many requests"));
    }));
}

#[test]
fn what_is_not_served_is_refused() {
    drop(with_exchange(false, async |client| {
        match client.socket("/nowhere").await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 404),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("nothing is served there"),
        }
        let mut rest = client.connect().await;
        let (head, _) = client.request(&mut rest, "POST", "/fapi/v1/order", &"x".repeat(300_000)).await;
        assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    }));
}

#[test]
fn an_exchange_that_cannot_start_says_why() {
    let running = start(options(false)).unwrap();
    let port = running.rest.rsplit(':').next().unwrap().parse().unwrap();
    let taken = start(ExchangeOptions { port, ..options(false) }).unwrap_err();
    assert!(matches!(taken, ExchangeError::Listen { .. }) && taken.to_string().contains("choose another port"));
    let market = start(ExchangeOptions { market: "/no/such/file.gz".to_owned(), ..options(false) }).unwrap_err();
    assert!(matches!(market, ExchangeError::Market(_)), "{market}");
    for speed in [0.0, -1.0, 1e-300, 1e7, f64::NAN, f64::INFINITY] {
        let error = start(ExchangeOptions { speed, ..options(false) }).unwrap_err();
        assert!(matches!(error, ExchangeError::Speed(_)), "{error}");
    }
}

#[test]
fn a_restarted_exchange_has_the_same_keys_and_its_clients_trust_it_again() {
    let first = start(options(true)).unwrap();
    let (key, rest) = (first.api_key.clone(), first.rest.clone());
    let port = rest.rsplit(':').next().unwrap().parse().unwrap();
    let client = Client::of(&first);
    first.stop();
    let second = start(ExchangeOptions { port, ..options(true) }).unwrap();
    assert_eq!((&second.api_key, &second.rest), (&key, &rest));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { client.connect().await });
}
