//! What is known about a session when it begins.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;

/// A session: one run of the program, one row of `sessions`.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// High half of its order ids; larger than every earlier session's.
    pub epoch: u32,
    /// When it began.
    pub started: Nanos,
    /// `sim`, `testnet` or `live`.
    pub mode: String,
    /// Which exchange.
    pub venue: String,
    /// Asset in which fees and profit are counted, such as `USDT`.
    pub margin_asset: String,
    /// Hash of the configuration.
    pub config_hash: String,
    /// Hash of the program file.
    pub binary_hash: String,
    /// Version of the program.
    pub version: String,
    /// What it trades, in the order of `SymbolId`.
    pub symbols: Vec<SessionSymbol>,
}

/// A symbol of the session and how its numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSymbol {
    /// Index in this session.
    pub id: SymbolId,
    /// Venue name.
    pub name: SymbolName,
    /// Decimals of its prices.
    pub price_decimals: usize,
    /// Decimals of its quantities.
    pub qty_decimals: usize,
}

impl SessionSymbol {
    /// The symbol of an instrument.
    pub fn of(instrument: &Instrument) -> SessionSymbol {
        SessionSymbol {
            id: instrument.symbol,
            name: instrument.name,
            price_decimals: instrument.price_decimals(),
            qty_decimals: instrument.qty_decimals(),
        }
    }
}

impl SessionInfo {
    /// Name of a symbol; `?` for one that the session does not know.
    pub(crate) fn name(&self, symbol: SymbolId) -> &str {
        self.symbols.get(symbol.index()).map_or("?", |symbol| symbol.name.as_str())
    }
}
