//! The exchange's thread: a runtime for one thread that accepts connections and lets time pass.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use optiflow_base::clock::{Clock, RealClock};
use optiflow_base::money::Notional;
use optiflow_base::placement;
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::core::{CoreConfig, SPEEDS};
use optiflow_sim::market::{self, Source};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use super::doors::House;
use super::ledger::{self, Ledger};
use super::reins::Reined;
use super::report::Report;
use super::ruler::Ruler;
use super::{ExchangeError, ExchangeOptions, MarketEnd, http};

/// What the thread is started with.
pub struct Plan {
    pub options: ExchangeOptions,
    pub keys: Keys,
    pub tls: Option<Arc<ServerConfig>>,
    pub core: Option<usize>,
    pub market_end: Arc<OnceLock<MarketEnd>>,
}

/// What other threads ask the exchange's thread for.
pub enum Ask {
    /// The books as they stand.
    Ledger(SyncSender<Ledger>),
    /// The books as they stand and everything else that is told at the end, and then the end.
    Stop(SyncSender<(Ledger, Report)>),
}

type Started = (SocketAddr, mpsc::UnboundedSender<Ask>, JoinHandle<()>);

/// Starts the thread; returns when it listens.
pub fn spawn(plan: Plan) -> Result<Started, ExchangeError> {
    if !SPEEDS.contains(&plan.options.speed) {
        return Err(ExchangeError::Speed(plan.options.speed));
    }
    // Opened here, so that a market that is missing is an error and not a thread.
    let source = market::open(&plan.options.market, plan.options.seed).map_err(ExchangeError::Market)?;
    let (asks, inbox) = mpsc::unbounded_channel();
    let (ready, listening) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("exchange".to_owned())
        .spawn(move || run(plan, source, inbox, &ready))
        .map_err(ExchangeError::Thread)?;
    match listening.recv() {
        Ok(Ok(address)) => Ok((address, asks, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ExchangeError::Died),
    }
}

type Ready = SyncSender<Result<SocketAddr, ExchangeError>>;

fn run(plan: Plan, source: Box<dyn Source>, inbox: mpsc::UnboundedReceiver<Ask>, ready: &Ready) {
    // Whoever waits for readiness learns of every failure; who no longer waits does not care.
    let prepared = prepare(&plan);
    let (runtime, listener) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return drop(ready.send(Err(error))),
    };
    LocalSet::new().block_on(&runtime, async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return drop(ready.send(Err(listen_error(&plan, error)))),
        };
        let address = match listener.local_addr() {
            Ok(address) => address,
            Err(error) => return drop(ready.send(Err(listen_error(&plan, error)))),
        };
        let market_end = plan.market_end.clone();
        let tls = plan.tls.clone().map(TlsAcceptor::from);
        let measures = plan.options.reaction;
        let house = Rc::new(open_house(plan, source));
        drop(ready.send(Ok(address)));
        if measures {
            tokio::task::spawn_local(spin());
        }
        tokio::select! {
            () = accept(house.clone(), listener, tls) => {}
            () = pass_time(&house, &market_end) => {}
            () = answer(&house, inbox) => {}
        }
        house.close_all();
        tokio::time::sleep(GOODBYE).await;
    });
}

fn prepare(plan: &Plan) -> Result<(tokio::runtime::Runtime, std::net::TcpListener), ExchangeError> {
    if let Some(core) = plan.core {
        placement::pin(core).map_err(ExchangeError::Pin)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(ExchangeError::Thread)?;
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, plan.options.port));
    let listener = listener.map_err(|error| listen_error(plan, error))?;
    listener.set_nonblocking(true).map_err(|error| listen_error(plan, error))?;
    Ok((runtime, listener))
}

const fn listen_error(plan: &Plan, error: io::Error) -> ExchangeError {
    ExchangeError::Listen { port: plan.options.port, error }
}

fn open_house(plan: Plan, source: Box<dyn Source>) -> House {
    let clock = RealClock::new();
    let core = CoreConfig {
        listings: source.listings().to_vec(),
        wallet: WALLET,
        leverage: LEVERAGE,
        maker_fee_ppm: MAKER_FEE_PPM,
        taker_fee_ppm: TAKER_FEE_PPM,
        speed: plan.options.speed,
        start: clock.now(),
        rules: Default::default(),
    };
    let config = ExchangeConfig { core, keys: plan.keys, seed: plan.options.seed };
    let mut exchange = Exchange::new(config, source);
    if !plan.options.faults.rules().is_empty() {
        exchange.set_faults(clock.now(), &plan.options.faults);
    }
    House::new(exchange, clock, plan.options.reaction.then(Ruler::default))
}

/// Keeps the thread awake: what is measured is the client, not how long this thread takes to wake.
async fn spin() {
    loop {
        tokio::task::yield_now().await;
    }
}

async fn accept(house: Rc<House>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // The semaphore is never closed, so it always gives a permit in the end.
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok(_) if house.refuses_connects() => {}
            Ok((stream, peer)) => {
                let greeting = greet(house.clone(), stream, peer, tls.clone());
                tokio::task::spawn_local(async move {
                    greeting.await;
                    drop(permit);
                });
            }
            // Out of descriptors, most likely: connections that end make room.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn greet(house: Rc<House>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
    // Latency is the point; a socket without the option still works.
    let _ = stream.set_nodelay(true);
    let stream = Reined::new(stream, house.clock());
    let reins = stream.reins();
    match tls {
        None => http::serve(house, stream, peer.ip(), reins).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)).await {
                http::serve(house, stream, peer.ip(), reins).await;
            }
        }
    }
}

async fn pass_time(house: &House, market_end: &OnceLock<MarketEnd>) {
    loop {
        let end = house.with(|exchange, now| {
            exchange.advance(now);
            let failed = exchange.market_failure().map(|error| MarketEnd::Failed(error.to_string()));
            failed.or_else(|| exchange.core().market_ended().then_some(MarketEnd::Over))
        });
        if let Some(end) = end {
            market_end.get_or_init(|| end);
        }
        house.wait().await;
    }
}

/// Answers until somebody asks for the end, or nobody is left to ask.
async fn answer(house: &House, mut inbox: mpsc::UnboundedReceiver<Ask>) {
    while let Some(ask) = inbox.recv().await {
        let books = house.with(|exchange, _| ledger::read(exchange.core()));
        match ask {
            Ask::Ledger(to) => drop(to.send(books)),
            Ask::Stop(to) => {
                let faults = house.with(|exchange, _| exchange.faults_struck().collect());
                let reactions = house.ruler().map(|ruler| ruler.report()).unwrap_or_default();
                return drop(to.send((books, Report { faults, reactions })));
            }
        }
    }
}

/// What the account starts with: 10,000 USDT.
const WALLET: Notional = Notional::from_units(10_000 * 100_000_000);
/// Leverage of every symbol at the start, as Binance has it for new accounts.
const LEVERAGE: u32 = 20;
/// Fees of a regular user.
const MAKER_FEE_PPM: i64 = 200;
const TAKER_FEE_PPM: i64 = 500;
/// HTTP connections at a time; more wait until one ends.
const CONNECTIONS_MAX: usize = 400;
/// A TLS handshake takes no longer than this, or the connection is dropped.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the close frames get to leave.
const GOODBYE: Duration = Duration::from_millis(20);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
