//! Binance's hosts: the only addresses that real orders can go to. Source: fact sheet §1.

/// Where one of Binance's exchanges is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Base URL of REST.
    pub rest: &'static str,
    /// Base URL of market and user streams.
    pub streams: &'static str,
    /// URL of the WebSocket API.
    pub ws_api: &'static str,
}

/// Real money.
pub const MAINNET: Hosts = Hosts {
    rest: "https://fapi.binance.com",
    streams: "wss://fstream.binance.com",
    ws_api: "wss://ws-fapi.binance.com/ws-fapi/v1",
};

/// Binance's test exchange.
pub const TESTNET: Hosts = Hosts {
    rest: "https://demo-fapi.binance.com",
    streams: "wss://fstream.binancefuture.com",
    ws_api: "wss://testnet.binancefuture.com/ws-fapi/v1",
};
