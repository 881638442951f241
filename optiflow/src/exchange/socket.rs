//! One WebSocket connection: frames of its queue out, frames of the client in.

use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use optiflow_sim::binance::{ConnId, Outgoing};
use tokio::sync::mpsc::Receiver;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::doors::House;
use super::reins::Reins;
use super::ruler::Ruler;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Which connection it is, and what it is known by.
pub struct Line {
    /// Its number.
    pub id: ConnId,
    /// The reins of the TCP stream beneath it.
    pub reins: Reins,
    /// Its `User-Agent`.
    pub agent: String,
}

/// Serves a connection until it ends, on either side.
pub async fn serve(house: Rc<House>, line: Line, upgrade: OnUpgrade, mut queue: Receiver<Outgoing>) {
    if let Ok(upgraded) = upgrade.await {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_LEN)
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        // However it ended: the connection is over, and a client is told no reasons.
        let _ = talk(&house, &line, socket, &mut queue).await;
    }
    house.closed(line.id);
}

async fn talk(house: &House, line: &Line, mut socket: Socket, queue: &mut Receiver<Outgoing>) -> Result<(), Error> {
    loop {
        tokio::select! {
            frame = queue.recv() => match frame {
                None => return goodbye(socket).await,
                Some(frame) => {
                    if write(house, line, &mut socket, frame, queue).await? == Next::Cut {
                        return Ok(());
                    }
                }
            },
            message = socket.next() => match message {
                None => return Ok(()),
                Some(message) => listen(house, line, &message?),
            },
        }
    }
}

/// The exchange has closed the connection: waits for the client to notice. Closing a socket with unread bytes in it would
/// take back what was just written.
async fn goodbye(mut socket: Socket) -> Result<(), Error> {
    let parting = async {
        while let Some(message) = socket.next().await {
            message?;
        }
        Ok(())
    };
    tokio::time::timeout(GOODBYE_MAX, parting).await.unwrap_or(Ok(()))
}

/// What comes after a write.
#[derive(PartialEq, Eq)]
enum Next {
    /// More of the same.
    Frames,
    /// Nothing: the connection is to be dropped without a word.
    Cut,
}

/// Writes a frame and everything queued behind it, then flushes once.
async fn write(
    house: &House,
    line: &Line,
    socket: &mut Socket,
    first: Outgoing,
    queue: &mut Receiver<Outgoing>,
) -> Result<Next, Error> {
    let mut newest = None;
    let mut next = Some(first);
    while let Some(frame) = next {
        let message = match frame {
            Outgoing::Text(text) => {
                newest = house.ruler().and_then(|_| Ruler::tick_of(&text)).max(newest);
                Message::text(&*text)
            }
            Outgoing::Ping(payload) => Message::Ping(payload.into()),
            Outgoing::Close { code, reason } => {
                Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() }))
            }
            Outgoing::Dribble { text, pause } => {
                socket.flush().await?;
                line.reins.slow_down(pause);
                socket.send(Message::text(&*text)).await?;
                line.reins.speed_up();
                next = queue.try_recv().ok();
                continue;
            }
            Outgoing::Cut { text, after_bytes } => {
                socket.flush().await?;
                line.reins.cut_after(after_bytes);
                if !text.is_empty() {
                    socket.send(Message::text(&*text)).await?;
                }
                return Ok(Next::Cut);
            }
        };
        socket.feed(message).await?;
        next = queue.try_recv().ok();
    }
    let Some(tick) = newest else { return socket.flush().await.map(|()| Next::Frames) };
    line.reins.await_write();
    socket.flush().await?;
    if let (Some(mut ruler), Some(at)) = (house.ruler(), line.reins.wrote_at()) {
        ruler.told(&line.agent, tick, at);
    }
    Ok(Next::Frames)
}

fn listen(house: &House, line: &Line, message: &Message) {
    match message {
        Message::Text(text) => {
            if let Some(mut ruler) = house.ruler() {
                ruler.frame(&line.agent, text, line.reins.read_at());
            }
            house.with(|exchange, now| exchange.text(now, line.id, text));
        }
        Message::Pong(payload) => house.with(|exchange, now| exchange.pong(now, line.id, payload)),
        // Pings and closes are answered by the library; binary frames mean nothing here.
        Message::Ping(_) => house.with(|exchange, now| exchange.ping(now, line.id)),
        Message::Close(_) | Message::Binary(_) | Message::Frame(_) => {}
    }
}

const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// The library's default would zero 128 KiB before every read.
const READ_BUFFER_LEN: usize = 4 * 1024;
/// The largest frame a client may send: far above 1,024 stream names in one request.
const MESSAGE_LEN_MAX: usize = 256 * 1024;
