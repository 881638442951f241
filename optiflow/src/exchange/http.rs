//! One TCP connection: HTTP requests in, answers out, until it closes or becomes a WebSocket.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use optiflow_sim::binance::{self, Delivery};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::doors::House;
use super::reins::Reins;
use super::socket;

type Answer = Response<Full<Bytes>>;

/// Serves a connection until it closes; `reins` are those of the TCP stream beneath it.
pub async fn serve<S>(house: Rc<House>, stream: S, peer: IpAddr, reins: Reins)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(house.clone(), request, peer, reins.clone()));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that breaks off or talks nonsense has been answered by the library, as far as that was possible.
    let _ = served.await;
}

/// The error breaks the connection off.
async fn answer(house: Rc<House>, request: Request<Incoming>, peer: IpAddr, reins: Reins) -> Result<Answer, io::Error> {
    reins.speed_up();
    if request.headers().get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Ok(upgrade(&house, request, peer, reins));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LEN_MAX).collect().await else {
        return Ok(bare(StatusCode::PAYLOAD_TOO_LARGE));
    };
    let api_key = head.headers.get("x-mbx-apikey").and_then(|key| key.to_str().ok());
    let request = binance::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        api_key: api_key.map(str::to_owned),
        body: body.to_bytes().to_vec(),
        peer,
    };
    if let Some(mut ruler) = house.ruler() {
        let params =
            if request.query.is_empty() { String::from_utf8_lossy(&request.body) } else { (&request.query).into() };
        ruler.request(&agent_of(&head.headers), &request.method, &request.path, &params, reins.read_at());
    }
    let response = house.with(|exchange, now| exchange.rest(now, &request));
    deliver(response, &reins).await
}

/// Lets an answer leave as the exchange wants it to.
async fn deliver(response: binance::Response, reins: &Reins) -> Result<Answer, io::Error> {
    let delivery = response.delivery;
    let is_answered = response.status > 0;
    let mut answer = translate(response);
    match delivery {
        Delivery::Whole => {}
        Delivery::Late(delay) => tokio::time::sleep(delay).await,
        Delivery::Dribble { pause } => reins.slow_down(pause),
        Delivery::Cut { after_bytes } if is_answered => {
            reins.cut_after(after_bytes);
            // Should the cut lie behind its end, the connection ends all the same.
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Delivery::Cut { .. } => return Err(ErrorKind::ConnectionReset.into()),
        Delivery::Never => {
            tokio::time::sleep(NEVER).await;
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Ok(answer)
}

fn agent_of(headers: &header::HeaderMap) -> String {
    headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("-").to_owned()
}

fn upgrade(house: &Rc<House>, mut request: Request<Incoming>, peer: IpAddr, reins: Reins) -> Answer {
    let Some(accept) = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()))
    else {
        return bare(StatusCode::BAD_REQUEST);
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (id, queue) = match house.open(&path, peer) {
        Ok(opened) => opened,
        Err(refusal) => return translate(refusal),
    };
    let line = socket::Line { id, reins, agent: agent_of(request.headers()) };
    let upgraded = hyper::upgrade::on(&mut request);
    let writer = tokio::task::spawn_local(socket::serve(house.clone(), line, upgraded, queue));
    house.written_by(id, writer.abort_handle());
    let mut answer = bare(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

fn translate(response: binance::Response) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(response.body)));
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn bare(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// The largest body that is read.
const BODY_LEN_MAX: usize = 256 * 1024;
/// The largest request head: 1,024 stream names fit into a URL.
const HEADER_LEN_MAX: usize = 128 * 1024;
/// How long a request that is never answered keeps its connection open: longer than any client waits.
const NEVER: Duration = Duration::from_secs(600);
/// A kept-alive connection may be silent for this long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
