//! The recorder itself: two connections, one to each route, into the files of every symbol.
//!
//! Stepped by whoever owns it; a step does a bounded amount of work and blocks only on the disk. Never decides when to
//! end. What connects and reconnects is `wire`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::ids::SymbolName;
use optiflow_base::market::StreamKind;
use optiflow_base::stage::Progress;
use optiflow_feed::Silence;
use optiflow_feed::binance::streams::{SYMBOLS_MAX, market_path, public_path};
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::time::ExchangeTime;
use optiflow_wire::connection::{Connection, Event};
use optiflow_wire::limits::Limits;
use optiflow_wire::renewal::{Resolver, SystemLookup};
use optiflow_wire::transport::TcpDialer;

use super::desk::Desk;
use super::place::Place;
use super::snapshots::Snapshots;
use super::tally::Tally;
use crate::config::Config;
use crate::pipeline::start_resolver;
use crate::problem::Problem;

/// Records the streams of a configuration's symbols.
pub struct Recorder {
    clock: RealClock,
    connections: [Connection<TcpDialer>; Route::ALL.len()],
    desk: Desk,
    care_at: Nanos,
    /// Ends the thread that looks names up.
    halt: Arc<AtomicBool>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.halt.store(true, Ordering::Relaxed);
    }
}

/// Which connection: the venue delivers each stream on one route only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Book diffs and best prices.
    Public,
    /// Trades and mark prices.
    Market,
}

impl Route {
    /// Both.
    pub const ALL: [Route; 2] = [Route::Public, Route::Market];

    /// What it carries.
    pub const fn kinds(self) -> [StreamKind; 2] {
        match self {
            Route::Public => [StreamKind::Depth, StreamKind::Top],
            Route::Market => [StreamKind::Trade, StreamKind::Mark],
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Route::Public => "public streams",
            Route::Market => "market streams",
        }
    }
}

impl Recorder {
    /// Prepares everything; nothing is dialled before the first step.
    ///
    /// # Errors
    /// When the exchange cannot be found, the folder cannot be made, or there are too many symbols.
    pub fn new(
        config: &Config,
        place: &Place,
        out: &Path,
        file_bytes_max: u64,
        clock: RealClock,
    ) -> Result<Recorder, Problem> {
        let names: Vec<SymbolName> = config.symbols.iter().map(|symbol| symbol.name).collect();
        if names.len() > SYMBOLS_MAX {
            let count = names.len();
            return Err(Problem::Usage(format!("{count} symbols; one recorder takes up to {SYMBOLS_MAX}")));
        }
        let made = std::fs::create_dir_all(out);
        made.map_err(|error| Problem::Failed(format!("making the folder {}: {error}", out.display())))?;
        let client = RestClient::new(&place.rest, &place.roots, None, ExchangeTime::new());
        let client = client.map_err(|error| Problem::Failed(error.to_string()))?;
        let snapshots = Snapshots::start(client, clock.clone())?;
        let feed = &config.feed;
        let silence = Silence {
            depth: feed.depth_silence,
            top: feed.top_silence,
            trade: feed.trade_silence,
            mark: feed.mark_silence,
        };
        let paths = [public_path(&names, &feed.depth), market_path(&names)];
        let seed = clock.now().0;
        let mut resolver = Resolver::new(SystemLookup, seed);
        let mut connect = |path: &str, seed: u64| -> Result<Connection<TcpDialer>, Problem> {
            let endpoint = place.streams()?.with_path(path);
            resolver.serve(&endpoint);
            Ok(Connection::new(endpoint, TcpDialer, Limits::market(), seed))
        };
        let connections = [connect(&paths[0], seed)?, connect(&paths[1], seed.wrapping_add(1))?];
        let halt = Arc::new(AtomicBool::new(false));
        let started = start_resolver(resolver, None, clock.clone(), halt.clone());
        started.map_err(|error| Problem::Failed(format!("starting a thread: {error}")))?;
        let desk = Desk::new(&names, silence, out, file_bytes_max, snapshots);
        Ok(Recorder { clock, connections, desk, care_at: Nanos(0), halt })
    }

    /// Reads what has come, and looks after what is due.
    ///
    /// # Errors
    /// When the disk refuses. What was heard by then is written as far as it can be, and the files are closed.
    pub fn step(&mut self) -> Result<Progress, Problem> {
        self.work().inspect_err(|_| {
            // The first problem is the one to tell; the disk may refuse these too.
            let _ = self.desk.close();
        })
    }

    fn work(&mut self) -> Result<Progress, Problem> {
        let mut progress = Progress::Idle;
        for route in Route::ALL {
            progress = progress.or(self.poll(route)?);
        }
        let now = self.clock.now();
        if now >= self.care_at {
            self.care_at = now + CARE_EVERY;
            self.desk.care(now)?;
            for route in Route::ALL {
                if self.desk.is_drop_due(route, now) {
                    self.connections[route as usize].reconnect(now);
                }
            }
        }
        Ok(progress)
    }

    /// Does every symbol have its first snapshot?
    pub fn is_recording(&self) -> bool {
        self.desk.is_recording()
    }

    /// What people should know, since the last call.
    pub fn notes(&mut self) -> Vec<String> {
        self.desk.notes()
    }

    /// What it came to so far.
    pub fn tally(&self) -> Tally {
        self.desk.tally()
    }

    /// Closes every file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<Tally, Problem> {
        self.desk.close()?;
        Ok(self.desk.tally())
    }

    fn poll(&mut self, route: Route) -> Result<Progress, Problem> {
        let connection = &mut self.connections[route as usize];
        for polls in 0..POLLS_PER_STEP_MAX {
            match connection.poll(self.clock.now()) {
                Event::Idle => return Ok(Progress::from_work(polls > 0)),
                Event::Working => {}
                Event::Up => self.desk.up(route, self.clock.now()),
                Event::Down(reason) => self.desk.down(route, &reason.to_string()),
                Event::Text(payload) => self.desk.text(self.clock.now(), payload)?,
            }
        }
        Ok(Progress::Busy)
    }
}

/// Polls of one connection before the other has its turn.
const POLLS_PER_STEP_MAX: u32 = 256;
/// How often files, snapshots and silence are looked after.
const CARE_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;

    use flate2::read::MultiGzDecoder;
    use optiflow_wire::tls::Roots;

    use super::*;

    const DEMO: &str = include_str!("../../../configs/demo.toml");

    #[test]
    fn a_disk_that_refuses_one_symbol_costs_the_others_nothing() {
        let out = std::env::temp_dir().join(format!("optiflow-recorder-{}", std::process::id()));
        let (before, symbol) = DEMO.split_at(DEMO.find("[[symbol]]").unwrap());
        let text = format!(
            "{before}total_notional_max = \"1200\"\ntotal_open_orders_max = 8\n{symbol}\n{}",
            symbol.replace("BTCUSDT", "ETHUSDT")
        );
        let config = Config::from_text(Path::new("demo.toml"), &text).unwrap();
        let nobody = "127.0.0.1:9";
        let place = Place { rest: format!("http://{nobody}"), streams: format!("ws://{nobody}"), roots: Roots::WebPki };
        let mut recorder = Recorder::new(&config, &place, &out, u64::MAX, RealClock::new()).unwrap();
        let heard = recorder.clock.now() - Duration::from_secs(2);
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            let trade = format!(
                r#"{{"stream":"{}@aggTrade","data":{{"e":"aggTrade","E":1,"a":1,"s":"{symbol}","p":"1.5","q":"2","f":1,"l":1,"T":1,"m":true}}}}"#,
                symbol.to_lowercase()
            );
            recorder.desk.text(heard, trade.as_bytes()).unwrap();
        }
        recorder.desk.fill_disk_of(0);
        let problem = recorder.step().unwrap_err().to_string();
        assert!(problem.contains("btcusdt_") && problem.contains("No space left"), "{problem}");
        let files = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        let whole: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "gz")).collect();
        let eth = whole.iter().find(|path| path.to_string_lossy().contains("ethusdt_")).expect("it is closed");
        let mut text = String::new();
        MultiGzDecoder::new(File::open(eth).unwrap()).read_to_string(&mut text).unwrap();
        assert!(text.ends_with("\"m\":true}}\n"), "what was not flushed yet is there: {text:?}");
        fs::remove_dir_all(&out).unwrap();
    }
}
