//! What leaves is counted: frames by connection, attempts to connect by process. What may not leave yet waits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_wire::attempts::{ATTEMPTS_MAX, Attempts, SPAN};
use optiflow_wire::connection::Connection;
use optiflow_wire::down::Down;
use optiflow_wire::error::SendError;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};
use support::{Client, Seen, Server, client, endpoint, exchange, poll_all};
use tungstenite::Message;

fn ms(ms: u64) -> Nanos {
    Nanos::from_millis(1_000_000 + ms)
}

/// Up at zero.
fn up(limits: Limits) -> (Client, Server<support::Pipe>) {
    let dialer = MemoryDialer::new(PipeOptions::default());
    let mut client = client(&dialer, limits);
    poll_all(&mut client, ms(0));
    let mut server = Server::new(dialer.accept().unwrap().1);
    let (seen, _) = exchange(&mut client, &mut server, ms(0));
    assert_eq!(seen, [Seen::Up]);
    (client, server)
}

/// Is `instants` never more than `most` in a second?
fn is_paced(instants: &[Nanos], most: usize) -> bool {
    instants.windows(most + 1).all(|some| some[most].since(some[0]) >= 1_000_000_000)
}

#[test]
fn a_storm_of_pings_is_answered_no_faster_than_the_exchange_admits_and_the_latest_is_answered() {
    for (limits, most) in [(Limits::market(), 10), (Limits::orders(), 5)] {
        let (mut client, mut server) = up(Limits { ping_interval: Duration::from_secs(1), ..limits });
        let (mut sent, mut last, mut own) = (Vec::new(), None, 0);
        for step in 0..3_000 {
            if step < 2_000 && step % 5 == 0 {
                server.send(Message::Ping(step.to_string().into_bytes().into()));
            }
            assert!(poll_all(&mut client, ms(step)).is_empty());
            for message in server.step() {
                sent.push(ms(step));
                own += u32::from(message.is_ping());
                if let Message::Pong(payload) = message {
                    last = Some(String::from_utf8(payload.to_vec()).unwrap());
                }
            }
        }
        assert!(is_paced(&sent, most), "never more than {most} in a second: {sent:?}");
        assert!(sent.len() >= most, "they are answered: {}", sent.len());
        assert_eq!(last.as_deref(), Some("1995"), "the latest");
        assert_eq!(own, 2, "our own pings find their token in the middle of it");
    }
}

#[test]
fn texts_count_on_a_stream_and_what_may_not_leave_stays_with_its_sender() {
    let (mut client, mut server) = up(Limits::market());
    let (mut sent, mut refused) = (Vec::new(), 0);
    for step in 0..20_000 {
        match client.send_text(ms(step), b"{}") {
            Ok(()) => sent.push(ms(step)),
            Err(error) => {
                assert_eq!(error, SendError::Full);
                refused += 1;
            }
        }
        assert!(poll_all(&mut client, ms(step)).is_empty(), "our own pings find their token too");
        server.step();
    }
    assert!(is_paced(&sent, 10) && sent.len() > 60 && refused > 0, "{}", sent.len());
    let (mut client, _server) = up(Limits::orders());
    assert!((0..100).all(|_| client.send_text(ms(0), b"{}").is_ok()), "requests have limits of their own");
}

/// Two sockets of market data and three that orders need, for twenty minutes at an exchange that accepts and hangs up.
#[test]
fn all_sockets_of_a_process_together_stay_below_what_an_address_may() {
    let attempts = Attempts::new();
    let dialers: Vec<MemoryDialer> = (0..5).map(|_| MemoryDialer::new(PipeOptions::default())).collect();
    let limits = |index: usize| if index < 2 { Limits::market() } else { Limits::orders() }.sharing(&attempts);
    let mut clients: Vec<Client> = (0..5)
        .map(|index| Connection::new(endpoint(None), dialers[index].clone(), limits(index), index as u64))
        .collect();
    let (mut made, mut put_off, mut last) = (Vec::new(), [0; 5], [ms(0); 5]);
    for step in 0..1_200 * 5 {
        let now = ms(step * 200);
        for (index, client) in clients.iter_mut().enumerate() {
            let down = poll_all(client, now);
            put_off[index] += down.iter().filter(|seen| **seen == Seen::Down(Down::PutOff)).count();
            // Up and gone again: no pause after many refusals holds it up.
            while let Some((_, pipe)) = dialers[index].accept() {
                exchange(client, &mut Server::new(pipe), now);
                made.push(now);
                last[index] = now;
            }
        }
    }
    let most = ATTEMPTS_MAX as usize;
    assert!(made.windows(most + 1).all(|some| some[most].since(some[0]) >= nanos_of(SPAN)), "{}", made.len());
    assert!(made.len() > 2 * most, "what may be tried is tried: {}", made.len());
    let waits = |index: usize| ms(1_200_000).since(last[index]) / 1_000_000_000;
    assert!((2..5).all(|index| waits(index) < 60), "sockets that orders need come first");
    assert!(put_off.iter().all(|&told| told > 0), "{put_off:?}");
}

#[test]
fn an_attempt_that_is_put_off_is_told_once_and_made_in_time() {
    let attempts = Attempts::new();
    let dialer = MemoryDialer::new(PipeOptions::default());
    let fresh = |limits: Limits| Connection::new(endpoint(None), dialer.clone(), limits.sharing(&attempts), 1);
    let dials = |client: &mut Client, now| {
        let seen = poll_all(client, now);
        (std::iter::from_fn(|| dialer.accept()).count(), seen)
    };
    let mut made = 0;
    while dials(&mut fresh(Limits::market()), ms(0)).0 == 1 {
        made += 1;
    }
    assert_eq!(made, 125, "half of all, less those that are kept");
    let mut waiting = fresh(Limits::market());
    assert_eq!(dials(&mut waiting, ms(0)), (0, vec![Seen::Down(Down::PutOff)]));
    assert_eq!(dials(&mut waiting, ms(1_000)), (0, vec![]), "told once");
    assert_eq!(dials(&mut fresh(Limits::orders()), ms(1_000)).0, 1, "they are kept for it");
    let at = (1..).find(|second| dials(&mut waiting, ms(second * 1_000)).0 == 1).unwrap();
    assert!(at <= 5, "after {at} s");
}
