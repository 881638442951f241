//! Depth snapshots by REST, on a thread that may wait: the streams must be read on time meanwhile.
//!
//! Never retries by itself; whoever asks decides. The thread ends when this is dropped, after the call under way.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use optiflow_base::clock::RealClock;
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_oms::binance::rest::RestClient;

use crate::problem::Problem;

/// The line to the thread that asks.
pub struct Snapshots {
    calls: Sender<RestCall>,
    replies: Receiver<RestReply>,
}

impl Snapshots {
    /// Starts the thread.
    pub fn start(mut client: RestClient, clock: RealClock) -> Result<Snapshots, Problem> {
        let (calls, asked) = channel::<RestCall>();
        let (answered, replies) = channel();
        let work = move || {
            for call in asked {
                if answered.send(client.perform(&call, &clock)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("snapshots".to_owned()).spawn(work);
        thread.map_err(|error| Problem::Failed(format!("starting a thread: {error}")))?;
        Ok(Snapshots { calls, replies })
    }

    /// Asks; at most one call a symbol is under way, so the line stays short.
    pub fn ask(&self, call: RestCall) -> Result<(), Problem> {
        self.calls.send(call).map_err(|_| gone())
    }

    /// The next answer, if one is there.
    pub fn answer(&self) -> Result<Option<RestReply>, Problem> {
        match self.replies.try_recv() {
            Ok(reply) => Ok(Some(reply)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }
}

fn gone() -> Problem {
    Problem::Failed("the thread that asks for snapshots has ended; its message is above".to_owned())
}
