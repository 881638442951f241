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

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a connection until it ends, on either side.
pub async fn serve(house: Rc<House>, id: ConnId, upgrade: OnUpgrade, mut queue: Receiver<Outgoing>) {
    if let Ok(upgraded) = upgrade.await {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_LEN)
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        // However it ended: the connection is over, and a client is told no reasons.
        let _ = talk(&house, id, socket, &mut queue).await;
    }
    house.closed(id);
}

async fn talk(house: &House, id: ConnId, mut socket: Socket, queue: &mut Receiver<Outgoing>) -> Result<(), Error> {
    loop {
        tokio::select! {
            frame = queue.recv() => match frame {
                None => return goodbye(socket).await,
                Some(frame) => write(&mut socket, frame, queue).await?,
            },
            message = socket.next() => match message {
                None => return Ok(()),
                Some(message) => listen(house, id, &message?),
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

/// Writes a frame and everything queued behind it, then flushes once.
async fn write(socket: &mut Socket, first: Outgoing, queue: &mut Receiver<Outgoing>) -> Result<(), Error> {
    let mut next = Some(first);
    while let Some(frame) = next {
        socket.feed(message(frame)).await?;
        next = queue.try_recv().ok();
    }
    socket.flush().await
}

fn listen(house: &House, id: ConnId, message: &Message) {
    match message {
        Message::Text(text) => house.with(|exchange, now| exchange.text(now, id, text)),
        Message::Pong(payload) => house.with(|exchange, now| exchange.pong(now, id, payload)),
        // Pings and closes are answered by the library; binary frames mean nothing here.
        Message::Ping(_) | Message::Close(_) | Message::Binary(_) | Message::Frame(_) => {}
    }
}

fn message(frame: Outgoing) -> Message {
    match frame {
        Outgoing::Text(text) => Message::text(&*text),
        Outgoing::Ping(payload) => Message::Ping(payload.into()),
        Outgoing::Close { code, reason } => {
            Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() }))
        }
    }
}

const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// The library's default would zero 128 KiB before every read.
const READ_BUFFER_LEN: usize = 4 * 1024;
/// The largest frame a client may send: far above 1,024 stream names in one request.
const MESSAGE_LEN_MAX: usize = 256 * 1024;
