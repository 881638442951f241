//! A warmed-up connection allocates nothing per message, over plain TCP and over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};

use optiflow_base::clock::Nanos;
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, Pipe, PipeOptions};
use rustls::version::TLS13;
use support::{Client, Seen, answer_by_hand, believes, certificate, endpoint, poll_all, seconds};

/// Counts allocations of the calling thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local that needs neither
// initialisation nor a destructor, so it cannot allocate and cannot be gone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` or `realloc` above, which is the system's, with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `at` came from `alloc` or `realloc` above, which is the system's, with this layout.
        unsafe { System.realloc(at, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let result = work();
    (ALLOCATIONS.get() - before, result)
}

/// A text frame, then a ping, as a server sends them.
fn frames() -> Vec<u8> {
    let mut bytes = vec![0x81, 126, 2, 0];
    bytes.extend_from_slice(&[b'{'; 512]);
    bytes.extend_from_slice(b"\x89\x04ping");
    bytes
}

/// One round: a message comes in and is answered. Only what the client does is counted.
fn round(client: &mut Client, now: Nanos, mut deliver: impl FnMut(), mut take: impl FnMut()) -> u64 {
    deliver();
    let (allocated, texts) = counted(|| {
        let mut texts = 0;
        loop {
            match client.poll(now) {
                Event::Idle => break,
                Event::Working => {}
                Event::Text(text) => texts += text.len(),
                event @ (Event::Up | Event::Down(_)) => panic!("{event:?}"),
            }
        }
        client.send_text(now, &[b'}'; 240]).unwrap();
        texts
    });
    assert_eq!(texts, 512);
    take();
    allocated
}

#[test]
fn a_warm_plain_connection_allocates_nothing() {
    let dialer = MemoryDialer::new(PipeOptions::default());
    let mut client = support::client(&dialer, Limits::orders());
    assert_eq!(poll_all(&mut client, seconds(1)), []);
    let far = std::cell::RefCell::new(answer_by_hand(dialer.accept().unwrap().1, b""));
    assert_eq!(poll_all(&mut client, seconds(1)), [Seen::Up]);
    let (frames, mut buffer) = (frames(), vec![0; 4_096]);
    let mut allocated = 0;
    for number in 0..10_000 {
        let deliver = || far.borrow_mut().write_all(&frames).unwrap();
        let take = || assert!(far.borrow_mut().read(&mut buffer).unwrap() > 240);
        allocated += round(&mut client, seconds(2), deliver, take) * u64::from(number >= WARM_UP);
    }
    assert_eq!(allocated, 0, "10 000 messages in, 10 000 pongs and 10 000 messages out");
}

#[test]
fn a_warm_tls_connection_allocates_nothing() {
    let certificate = certificate("localhost", &[&TLS13]);
    let dialer = MemoryDialer::new(PipeOptions::default());
    let endpoint = endpoint(Some(believes(&certificate.pem)));
    let mut client: Client = Connection::new(endpoint, dialer.clone(), Limits::orders(), 7);
    poll_all(&mut client, seconds(1));
    let far = dialer.accept().unwrap().1;
    let stream = std::cell::RefCell::new(greet(&mut client, far, &certificate));
    let (frames, mut buffer) = (frames(), vec![0; 4_096]);
    let mut allocated = 0;
    let rounds = 2_000;
    for number in 0..rounds + WARM_UP {
        let deliver = || {
            let mut stream = stream.borrow_mut();
            stream.write_all(&frames).unwrap();
            stream.flush().unwrap();
        };
        let take = || assert!(stream.borrow_mut().read(&mut buffer).unwrap() > 0);
        allocated += round(&mut client, seconds(2), deliver, take) * u64::from(number >= WARM_UP);
    }
    assert_eq!(allocated, 0, "{rounds} messages in, {rounds} pongs and {rounds} messages out");
}

type TlsStream = rustls::StreamOwned<rustls::ServerConnection, Pipe>;

/// TLS and the upgrade, played by hand.
fn greet(client: &mut Client, far: Pipe, certificate: &support::Certificate) -> TlsStream {
    let mut stream = support::guarded(far, certificate);
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    while !request.ends_with(b"\r\n\r\n") {
        assert_eq!(poll_all(client, seconds(1)), []);
        if let Ok(len) = stream.read(&mut buffer) {
            request.extend_from_slice(&buffer[..len]);
        }
    }
    let head = support::answer_to(std::str::from_utf8(&request).unwrap());
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.flush().unwrap();
    assert_eq!(poll_all(client, seconds(1)), [Seen::Up]);
    stream
}

const WARM_UP: u32 = 300;
