//! Addresses that change, resolvers that fail, and an exchange that refuses for half an hour.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod support;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_wire::connection::Connection;
use optiflow_wire::limits::Limits;
use optiflow_wire::renewal::{LOOKUP_PAUSE, Lookup, Renewal, Resolver};
use optiflow_wire::transport::memory::{Answer, MemoryDialer, PipeOptions};
use support::{Client, Server, exchange, poll_all, seconds};

/// Answers as it is told, and counts.
#[derive(Clone, Default)]
struct Told {
    answer: Rc<RefCell<Option<Vec<SocketAddr>>>>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Lookup for Told {
    fn lookup(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.borrow_mut().push(format!("{host}:{port}"));
        self.answer.borrow().clone().ok_or_else(|| io::Error::other("no such host"))
    }
}

struct World {
    dialer: MemoryDialer,
    client: Client,
    resolver: Resolver<Told>,
    told: Told,
    now: Nanos,
}

impl World {
    fn new() -> World {
        let dialer = MemoryDialer::new(PipeOptions::default());
        dialer.set_answer(Answer::Refuse);
        let mut endpoint = support::endpoint(None);
        endpoint.addresses = addresses(&["10.0.0.1:9001"]);
        endpoint.renewal = Some(Renewal::default());
        let told = Told::default();
        let mut resolver = Resolver::new(told.clone(), 3);
        resolver.serve(&endpoint);
        let client = Connection::new(endpoint, dialer.clone(), Limits::market(), 7);
        World { dialer, client, resolver, told, now: seconds(1) }
    }

    /// A fifth of a second at a time, as the cold thread goes round.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + Duration::from_millis(200);
            poll_all(&mut self.client, self.now);
            self.resolver.step(self.now);
        }
    }

    /// The address that the next connection goes to.
    fn next(&mut self) -> String {
        self.dialer.set_answer(Answer::Accept);
        self.run(Duration::from_secs(30));
        let address = self.dialer.accept().unwrap().0.to_string();
        self.dialer.set_answer(Answer::Refuse);
        while self.dialer.accept().is_some() {}
        address
    }
}

fn addresses(of: &[&str]) -> Vec<SocketAddr> {
    of.iter().map(|address| address.parse().unwrap()).collect()
}

#[test]
fn after_a_few_failures_the_name_is_looked_up_and_the_next_connect_goes_where_it_says() {
    let mut world = World::new();
    *world.told.answer.borrow_mut() = Some(addresses(&["10.0.0.2:9001", "10.0.0.3:9001"]));
    world.run(Duration::from_millis(400));
    assert!(world.told.asked.borrow().is_empty(), "one failure is nothing");
    world.run(Duration::from_secs(20));
    assert_eq!(world.told.asked.borrow()[0], "localhost:9001");
    let next = world.next();
    assert!(["10.0.0.2:9001", "10.0.0.3:9001"].contains(&next.as_str()), "{next}");
}

#[test]
fn when_the_name_is_not_found_or_leads_home_the_last_good_addresses_stay() {
    for answer in [None, Some(vec![]), Some(addresses(&["127.0.0.1:9001", "[::1]:9001", "0.0.0.0:9001"]))] {
        let mut world = World::new();
        *world.told.answer.borrow_mut() = answer.clone();
        world.run(Duration::from_secs(60));
        assert!(!world.told.asked.borrow().is_empty());
        assert_eq!(world.next(), "10.0.0.1:9001", "{answer:?}");
    }
    let mut world = World::new();
    *world.told.answer.borrow_mut() = Some(addresses(&["10.0.0.2:9001"]));
    world.run(Duration::from_secs(60));
    *world.told.answer.borrow_mut() = None;
    world.run(Duration::from_secs(60));
    assert_eq!(world.next(), "10.0.0.2:9001", "the last good one is the newer one");
}

#[test]
fn an_exchange_that_refuses_for_half_an_hour_is_neither_stormed_nor_looked_up_without_end() {
    let mut world = World::new();
    let (mut dialled, mut minutes) = (world.dialer.dialled(), Vec::new());
    for _ in 0..30 {
        world.run(Duration::from_secs(60));
        minutes.push(world.dialer.dialled() - dialled);
        dialled = world.dialer.dialled();
    }
    println!("attempts a minute: {minutes:?}");
    assert!(minutes[4..].iter().all(|&attempts| (3..=5).contains(&attempts)), "{minutes:?}");
    // Binance takes 300 connections in five minutes from an address; we have up to six sockets.
    assert!(minutes.windows(5).all(|five| five.iter().sum::<u64>() * 6 < 300), "{minutes:?}");
    let lookups = world.told.asked.borrow().len();
    assert!((20..=30 * 60 / LOOKUP_PAUSE.as_secs() as usize).contains(&lookups), "{lookups}");
    // It lets us in again within the longest wait.
    world.dialer.set_answer(Answer::Accept);
    world.run(Duration::from_secs(20));
    assert!(world.dialer.accept().is_some());
}

#[test]
fn nobody_who_is_connected_asks() {
    let mut world = World::new();
    world.run(Duration::from_secs(1));
    world.dialer.set_answer(Answer::Accept);
    world.run(Duration::from_secs(2));
    let mut server = Server::new(world.dialer.accept().unwrap().1);
    exchange(&mut world.client, &mut server, world.now);
    assert!(world.client.is_up());
    let asked = world.told.asked.borrow().len();
    for _ in 0..600 {
        world.run(Duration::from_secs(1));
        server.step();
    }
    assert!(world.client.is_up());
    assert_eq!(world.told.asked.borrow().len(), asked);
}
