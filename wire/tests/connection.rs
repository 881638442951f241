//! The state machine under virtual time, against tungstenite or against a server played by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::down::{Down, Violation};
use optiflow_wire::error::SendError;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{Answer, Cut, MemoryDialer, Pipe, PipeOptions};
use support::{Seen, answer_by_hand, bring_up, chopped, client, endpoint, exchange, poll_all, seconds, up};
use tungstenite::Message;

fn dialer() -> MemoryDialer {
    MemoryDialer::new(PipeOptions::default())
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

/// Steps time until an event comes; when it came, and the event.
fn wait(client: &mut support::Client, from: Nanos, step: Duration, at_most: Duration) -> (Nanos, Seen) {
    let mut now = from;
    while now < from + at_most {
        now = now + step;
        if let Some(seen) = poll_all(client, now).first() {
            return (now, seen.clone());
        }
    }
    panic!("nothing happened within {at_most:?}");
}

#[test]
fn messages_flow_both_ways_in_order() {
    for options in
        [PipeOptions::default(), chopped(3, 1), chopped(4, 7), PipeOptions { capacity: 300, ..PipeOptions::default() }]
    {
        let dialer = MemoryDialer::new(options);
        let (mut client, mut server) = up(&dialer, Limits::market(), Nanos(1));
        assert!(client.is_up());
        client.send_text(Nanos(2), b"one").unwrap();
        client.send_text(Nanos(2), b"two").unwrap();
        server.send(Message::text("uno"));
        server.send(Message::text(""));
        server.send(Message::binary(b"due".to_vec()));
        let (seen, read) = exchange(&mut client, &mut server, Nanos(3));
        assert_eq!(seen, [text("uno"), text(""), text("due")]);
        assert_eq!(read, [Message::text("one"), Message::text("two")]);
    }
}

#[test]
fn pings_of_the_server_are_echoed() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::market(), Nanos(1));
    server.send(Message::Ping(b"1699999999999".to_vec().into()));
    let (seen, read) = exchange(&mut client, &mut server, Nanos(2));
    assert_eq!(seen, []);
    assert_eq!(read, [Message::Pong(b"1699999999999".to_vec().into())]);
}

#[test]
fn our_pings_keep_a_quiet_connection_up_for_hours() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::orders(), Nanos(1));
    let mut pings = 0;
    for second in 1..=3_600 {
        let (seen, read) = exchange_once(&mut client, &mut server, seconds(second));
        assert_eq!(seen, []);
        pings += read.len();
    }
    assert!((1_000..=1_200).contains(&pings), "a ping every 3 s: {pings}");
    assert_eq!(dialer.dialled(), 1);
}

fn exchange_once(
    client: &mut support::Client,
    server: &mut support::Server<Pipe>,
    now: Nanos,
) -> (Vec<Seen>, Vec<Message>) {
    let mut seen = poll_all(client, now);
    let read = server.step();
    seen.extend(poll_all(client, now));
    (seen, read)
}

#[test]
fn a_silent_peer_is_found_out_by_its_missing_pong_and_dialled_again() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::orders());
    assert_eq!(poll_all(&mut client, seconds(1)), []);
    let (_, far) = dialer.accept().unwrap();
    let far = answer_by_hand(far, b"");
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Up]);
    far.cut(Cut::Silent);
    let (at, seen) = wait(&mut client, seconds(1), Duration::from_millis(10), Duration::from_secs(60));
    assert_eq!(seen, Seen::Down(Down::PongTimeout));
    assert!(at.since(seconds(1)) <= nanos_of(Duration::from_millis(5_020)), "3 s to the ping and 2 s to the pong");
    assert!(!client.is_up());
    bring_up(&mut client, &dialer, at + Duration::from_secs(1));
}

#[test]
fn a_stalled_thread_does_not_mistake_its_own_pause_for_a_dead_peer() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::orders(), seconds(1));
    exchange_once(&mut client, &mut server, seconds(5));
    server.send(Message::text("while you slept"));
    assert_eq!(poll_all(&mut client, seconds(500)), [text("while you slept")]);
    exchange(&mut client, &mut server, seconds(500));
    assert!(client.is_up());
}

#[test]
fn a_peer_that_never_pauses_is_pinged_and_found_out_all_the_same() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::orders());
    poll_all(&mut client, seconds(1));
    let mut far = answer_by_hand(dialer.accept().unwrap().1, b"");
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Up]);
    let (mut down, mut buffer) = (Vec::new(), [0; 64]);
    for poll in 0..40_000u64 {
        far.write_all(b"\x81\x04busy").unwrap();
        match client.poll(Nanos(seconds(1).0 + poll * 1_000_000)) {
            Event::Text(text) => assert_eq!(text, b"busy"),
            Event::Down(reason) => {
                down.push(reason);
                break;
            }
            event @ (Event::Idle | Event::Up) => panic!("{event:?}"),
            Event::Working => {}
        }
    }
    assert_eq!(down, [Down::PongTimeout]);
    assert!(far.read(&mut buffer).unwrap() > 0 && buffer[0] == 0x89, "a ping went out");
}

#[test]
fn a_pong_that_answers_another_ping_proves_nothing() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::orders());
    assert_eq!(poll_all(&mut client, seconds(1)), []);
    let mut far = answer_by_hand(dialer.accept().unwrap().1, b"");
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Up]);
    assert_eq!(poll_all(&mut client, seconds(5)), []);
    far.write_all(&[0x8A, 1, b'x']).unwrap();
    assert_eq!(poll_all(&mut client, seconds(8)), [Seen::Down(Down::PongTimeout)]);
}

#[test]
fn refused_connects_back_off_within_bounds_and_take_turns_between_addresses() {
    let dialer = dialer();
    dialer.set_answer(Answer::Refuse);
    let mut client = client(&dialer, Limits::market());
    let refused = Seen::Down(Down::Connect(ErrorKind::ConnectionRefused));
    let mut now = seconds(1);
    assert_eq!(poll_all(&mut client, now), std::slice::from_ref(&refused));
    let mut whole = Duration::from_millis(250);
    for _ in 0..12 {
        let (at, seen) = wait(&mut client, now, Duration::from_millis(1), Duration::from_secs(31));
        assert_eq!(seen, refused);
        let waited = Duration::from_nanos(at.since(now));
        assert!(waited >= whole / 2 && waited <= whole + Duration::from_millis(1), "{waited:?} of {whole:?}");
        whole = (whole * 2).min(Limits::market().backoff_cap);
        now = at;
    }
    dialer.set_answer(Answer::Accept);
    let mut addresses = Vec::new();
    for _ in 0..2 {
        now = now + Duration::from_secs(30);
        poll_all(&mut client, now);
        let (address, far) = dialer.accept().unwrap();
        addresses.push(address.ip().to_string());
        drop(far);
        assert_eq!(poll_all(&mut client, now), [Seen::Down(Down::Ended)]);
    }
    addresses.sort();
    assert_eq!(addresses, ["127.0.0.1", "127.0.0.2"]);
}

#[test]
fn whoever_is_told_when_to_come_back_is_not_besieging_anybody() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::orders());
    let mut now = seconds(1);
    // More refusals in a row than an exchange that is gone would give; each says how long to wait.
    for _ in 0..60 {
        poll_all(&mut client, now);
        let (_, mut far) = dialer.accept().unwrap();
        far.write_all(b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 1\r\n\r\n").unwrap();
        let seen = poll_all(&mut client, now);
        assert_eq!(seen, [Seen::Down(Down::Refused { status: 418, retry_after: Some(1) })]);
        now = now + Limits::orders().backoff_cap;
    }
}

#[test]
fn connecting_and_shaking_hands_have_their_time_and_no_more() {
    let dialer = dialer();
    dialer.set_answer(Answer::Hang);
    let mut client = client(&dialer, Limits::market());
    assert_eq!(poll_all(&mut client, seconds(1)), []);
    assert_eq!(poll_all(&mut client, Nanos(seconds(4).0 - 1)), []);
    assert_eq!(poll_all(&mut client, seconds(4)), [Seen::Down(Down::ConnectTimeout)]);
    dialer.set_answer(Answer::Accept);
    assert_eq!(poll_all(&mut client, seconds(10)), []);
    let mute = dialer.accept().unwrap();
    assert_eq!(poll_all(&mut client, Nanos(seconds(15).0 - 1)), []);
    assert_eq!(poll_all(&mut client, seconds(15)), [Seen::Down(Down::HandshakeTimeout)]);
    drop(mute);
}

#[test]
fn an_answer_that_drips_is_given_up_too() {
    let dialer = dialer();
    let mut client = client(&dialer, Limits::market());
    poll_all(&mut client, seconds(1));
    let mut far = dialer.accept().unwrap().1;
    for (second, letter) in (1..6).zip(*b"HTTP/") {
        assert_eq!(poll_all(&mut client, seconds(second)), []);
        far.write_all(&[letter]).unwrap();
    }
    assert_eq!(poll_all(&mut client, seconds(6)), [Seen::Down(Down::HandshakeTimeout)]);
}

#[test]
fn a_broken_rule_ends_the_connection_with_the_code_that_says_so() {
    for (bytes, violation, code) in [
        (&[0xC1, 0][..], Violation::ReservedBits, 1002u16),
        (&[0x81, 1, 0xff][..], Violation::Utf8, 1007),
        (&[0x82, 127, 0, 0, 0, 0, 0x10, 0, 0, 0][..], Violation::TooLong, 1009),
        (&[0x81, 0x81, 0, 0, 0, 0, 0][..], Violation::Masked, 1002),
    ] {
        let dialer = dialer();
        let mut client = client(&dialer, Limits::market());
        poll_all(&mut client, seconds(1));
        let mut far = answer_by_hand(dialer.accept().unwrap().1, b"");
        poll_all(&mut client, seconds(1));
        far.write_all(b"\x81\x02ok").unwrap();
        far.write_all(bytes).unwrap();
        assert_eq!(poll_all(&mut client, seconds(1)), [text("ok"), Seen::Down(Down::Violation(violation))]);
        let mut frame = [0; 64];
        assert_eq!(far.read(&mut frame).unwrap(), 8);
        let told = u16::from_be_bytes([frame[6] ^ frame[2], frame[7] ^ frame[3]]);
        assert_eq!((frame[0], told), (0x88, code));
        assert_eq!(far.read(&mut frame).unwrap(), 0, "and the stream ends");
    }
}

#[test]
fn a_close_of_the_peer_is_answered_after_everything_before_it_was_delivered() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::market(), seconds(1));
    server.send(Message::text("last words"));
    server.socket.as_mut().unwrap().close(None).unwrap();
    let (seen, read) = exchange(&mut client, &mut server, seconds(2));
    assert_eq!(seen[..2], [text("last words"), Seen::Down(Down::PeerClosed { code: 1005 })]);
    assert!(matches!(&read[..], [Message::Close(Some(frame))] if u16::from(frame.code) == 1000), "{read:?}");
}

#[test]
fn closing_is_orderly_delivers_what_still_comes_and_stays_down() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::market(), seconds(1));
    server.send(Message::text("crossed"));
    client.close(seconds(2));
    assert_eq!(client.send_text(seconds(2), b"x"), Err(SendError::NotUp));
    let (seen, read) = exchange(&mut client, &mut server, seconds(2));
    assert_eq!(seen, [text("crossed"), Seen::Down(Down::Closed)]);
    assert!(matches!(&read[..], [Message::Close(Some(_))]));
    assert_eq!(poll_all(&mut client, seconds(9_999)), []);
    assert_eq!(dialer.dialled(), 1);
    client.reconnect(seconds(9_999));
    bring_up(&mut client, &dialer, seconds(9_999));
}

#[test]
fn closing_does_not_wait_for_ever_and_works_from_every_state() {
    let dialer = dialer();
    let (mut open, _mute) = up(&dialer, Limits::market(), seconds(1));
    open.close(seconds(2));
    assert_eq!(poll_all(&mut open, seconds(3)), []);
    assert_eq!(poll_all(&mut open, seconds(4)), [Seen::Down(Down::Closed)]);
    let mut fresh = client(&dialer, Limits::market());
    fresh.close(seconds(1));
    assert_eq!(poll_all(&mut fresh, seconds(1)), [Seen::Down(Down::Closed)]);
    let mut dialing = client(&dialer, Limits::market());
    poll_all(&mut dialing, seconds(1));
    dialing.close(seconds(1));
    dialing.close(seconds(1));
    assert_eq!(poll_all(&mut dialing, seconds(900)), [Seen::Down(Down::Closed)]);
}

#[test]
fn a_full_buffer_refuses_whole_messages_and_every_accepted_one_arrives_once() {
    let dialer = MemoryDialer::new(PipeOptions { capacity: 700, ..PipeOptions::default() });
    let limits = Limits { outgoing_len_max: 2_000, ..Limits::market() };
    let (mut client, mut server) = up(&dialer, limits, seconds(1));
    let mut accepted = Vec::new();
    for round in 0..20 {
        for number in 0..99 {
            let message = format!("{round}-{number}-{}", "x".repeat(number));
            match client.send_text(seconds(2), message.as_bytes()) {
                Ok(()) => accepted.push(Message::text(message)),
                Err(refused) => assert_eq!(refused, SendError::Full),
            }
        }
        let (_, read) = exchange(&mut client, &mut server, seconds(2));
        assert_eq!(read, accepted);
        assert!(accepted.len() < 99);
        accepted.clear();
    }
    assert_eq!(client.send_text(seconds(2), &[b'x'; 2_000]), Err(SendError::Full));
}

#[test]
fn what_the_peer_said_before_it_vanished_is_delivered_before_the_end() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::market(), seconds(1));
    server.send(Message::text("answer"));
    drop(server);
    client.send_text(seconds(2), b"into the void").unwrap();
    let seen = poll_all(&mut client, seconds(2));
    assert_eq!(seen, [text("answer"), Seen::Down(Down::Write(ErrorKind::BrokenPipe))]);
}

#[test]
fn a_reset_is_seen_and_followed_by_another_attempt() {
    let dialer = dialer();
    let (mut client, server) = up(&dialer, Limits::market(), seconds(1));
    server.socket.as_ref().unwrap().get_ref().cut(Cut::Reset);
    assert_eq!(poll_all(&mut client, seconds(2)), [Seen::Down(Down::Read(ErrorKind::ConnectionReset))]);
    bring_up(&mut client, &dialer, seconds(3));
}

#[test]
fn reconnecting_is_at_once_the_first_time_and_patient_after_that() {
    let dialer = dialer();
    let (mut client, _old) = up(&dialer, Limits::market(), seconds(1));
    client.reconnect(seconds(2));
    assert!(!client.is_up());
    assert_eq!(poll_all(&mut client, seconds(2)), [Seen::Down(Down::Asked)]);
    let _server = bring_up(&mut client, &dialer, seconds(2));
    client.reconnect(seconds(3));
    assert_eq!(poll_all(&mut client, seconds(3)), [Seen::Down(Down::Asked)]);
    assert_eq!(dialer.dialled(), 2, "not proven yet: waits");
    let _server = bring_up(&mut client, &dialer, seconds(4));
    client.reconnect(seconds(4) + Limits::market().stable_after);
    assert_eq!(poll_all(&mut client, seconds(4) + Limits::market().stable_after), [Seen::Down(Down::Asked)]);
    assert_eq!(dialer.dialled(), 4, "proven: at once");
}

#[test]
fn a_connection_is_replaced_before_the_exchange_cuts_it() {
    let dialer = dialer();
    let (mut client, mut server) = up(&dialer, Limits::market(), seconds(0));
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let mut now = seconds(0);
    // Every time at once: whoever lived to the end has proven itself.
    for _ in 0..3 {
        let since = now;
        let reason = loop {
            now = now + Duration::from_secs(15);
            let (seen, _) = exchange_once(&mut client, &mut server, now);
            if let Some(seen) = seen.first() {
                break seen.clone();
            }
        };
        assert_eq!(reason, Seen::Down(Down::Rotated));
        assert!(now >= since + minutes(23 * 60 + 50) && now < since + minutes(24 * 60 - 4), "{now:?}");
        server = bring_up(&mut client, &dialer, now);
    }
}

#[test]
fn the_same_seed_waits_the_same() {
    let run = |seed| {
        let dialer = dialer();
        dialer.set_answer(Answer::Refuse);
        let mut client = Connection::new(endpoint(None), dialer, Limits::market(), seed);
        let (mut now, mut times) = (Nanos(1), Vec::new());
        for _ in 0..6 {
            let (at, _) = wait(&mut client, now, Duration::from_millis(1), Duration::from_secs(31));
            now = at;
            times.push(at);
        }
        times
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
