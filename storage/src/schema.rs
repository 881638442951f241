//! The tables of `trading_log.db`: documented here and, for readers of the file, in `docs/schema.md`.
//!
//! Times are integers of nanoseconds since the Unix epoch on our own clock (`_ns`) or the exchange's milliseconds
//! (`exchange_ms`, 0 where it did not say). Prices, quantities and money are integers of 10⁻⁸; the two views show
//! them as decimals. Order ids are our 64-bit ids; their text form is `client_id`.

/// Version of the tables below, kept in `user_version`.
pub const SCHEMA_VERSION: i64 = 1;
/// Marks the file as a trading log (`application_id`): "OFlw".
pub const APPLICATION_ID: i64 = 0x4f46_6c77;

/// Creates everything in an empty database.
pub const SCHEMA: &str = "
-- One row per run of the program.
CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY,
    epoch        INTEGER NOT NULL UNIQUE,  -- high half of the order ids of the session
    started_ns   INTEGER NOT NULL,
    ended_ns     INTEGER,                  -- NULL: running, or killed
    mode         TEXT NOT NULL,            -- sim, testnet, live
    venue        TEXT NOT NULL,
    symbols      TEXT NOT NULL,            -- names, separated by commas
    margin_asset TEXT NOT NULL,
    config_hash  TEXT NOT NULL,
    binary_hash  TEXT NOT NULL,
    version      TEXT NOT NULL,
    outcome      TEXT,                     -- how it ended; NULL: running, or killed
    summary      TEXT                      -- the closing summary as JSON
) STRICT;

-- What a session trades, and with how many decimals its numbers are written.
CREATE TABLE session_symbols (
    session_id     INTEGER NOT NULL REFERENCES sessions(id),
    symbol         TEXT NOT NULL,
    price_decimals INTEGER NOT NULL,
    qty_decimals   INTEGER NOT NULL,
    PRIMARY KEY (session_id, symbol)
) STRICT, WITHOUT ROWID;

-- One row per order: what was wanted and what became of it. An order of an earlier session that is met again keeps
-- its row and its session.
CREATE TABLE orders (
    order_id     INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    client_id    TEXT NOT NULL,
    symbol       TEXT NOT NULL,
    side         TEXT,                     -- buy, sell; NULL (with all up to decided_ns): we only heard of it
    kind         TEXT,                     -- limit, market
    tif          TEXT,                     -- gtc, ioc, fok, gtx
    price        INTEGER,                  -- 0 for a market order
    qty          INTEGER,
    reduce_only  INTEGER,
    caused_ns    INTEGER,                  -- the bytes that caused it were read
    decided_ns   INTEGER,                  -- the strategy decided
    state        TEXT NOT NULL,            -- intended, denied, sent, open, unknown, refused, filled, cancelled, expired
    filled       INTEGER NOT NULL,
    exchange_id  INTEGER,
    changed_ns   INTEGER NOT NULL          -- when the state last changed
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_by_session ON orders(session_id);

-- Everything that happened to an order, in the order in which we learned it.
CREATE TABLE order_events (
    id           INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    order_id     INTEGER NOT NULL,
    at_ns        INTEGER NOT NULL,
    exchange_ms  INTEGER NOT NULL,
    what         TEXT NOT NULL,  -- denied, sent, accepted, refused, unknown, filled, cancel_sent, cancel_refused,
                                 -- modify_sent, modified, modified_qty, modify_refused, done, cancelled, expired
    value        INTEGER         -- accepted: exchange id; refused, cancel_refused, modify_refused: venue code;
                                 -- filled: trade id; modified: new price; modified_qty: new quantity in all
) STRICT;
CREATE INDEX order_events_by_order ON order_events(order_id);

-- One row per trade of ours; a repeated report of the same trade changes nothing.
CREATE TABLE fills (
    order_id     INTEGER NOT NULL,
    trade_id     INTEGER NOT NULL,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    symbol       TEXT NOT NULL,
    at_ns        INTEGER NOT NULL,
    exchange_ms  INTEGER NOT NULL,
    side         TEXT,                     -- NULL: the order is not known, the fill is in no profit
    price        INTEGER NOT NULL,
    qty          INTEGER NOT NULL,
    maker        INTEGER NOT NULL,         -- 1: we were the maker
    fee          INTEGER NOT NULL,         -- in the margin asset; negative is a rebate
    PRIMARY KEY (order_id, trade_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX fills_by_session ON fills(session_id, at_ns);

-- The exchange's word on positions.
CREATE TABLE positions (
    id           INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    symbol       TEXT NOT NULL,
    at_ns        INTEGER NOT NULL,
    qty          INTEGER NOT NULL,         -- signed: long is positive
    entry        INTEGER NOT NULL          -- average entry price; 0 when flat
) STRICT;

-- The exchange's word on the wallet, without unrealised profit.
CREATE TABLE wallets (
    id           INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    at_ns        INTEGER NOT NULL,
    balance      INTEGER NOT NULL          -- of the margin asset
) STRICT;

-- What the exchange counted of our use of its limits; NULL where it did not say.
CREATE TABLE usage (
    id                 INTEGER PRIMARY KEY,
    session_id         INTEGER NOT NULL REFERENCES sessions(id),
    at_ns              INTEGER NOT NULL,
    weight_minute      INTEGER,
    orders_ten_seconds INTEGER,
    orders_minute      INTEGER,
    blocked_until_ns   INTEGER,           -- no request at all until then
    orders_blocked_until_ns INTEGER       -- no new order until then
) STRICT;

-- Signals, sampled.
CREATE TABLE signals (
    id                INTEGER PRIMARY KEY,
    session_id        INTEGER NOT NULL REFERENCES sessions(id),
    symbol            TEXT NOT NULL,
    at_ns             INTEGER NOT NULL,
    bid               INTEGER NOT NULL,
    ask               INTEGER NOT NULL,
    mark              INTEGER NOT NULL,    -- 0 until known
    obi_l1            REAL NOT NULL,       -- -1 to 1
    obi_l5            REAL NOT NULL,       -- -1 to 1
    micro_bps         REAL NOT NULL,       -- microprice less mid, basis points of the mid
    flow              REAL NOT NULL,       -- trade-flow imbalance, -1 to 1
    trades_per_second REAL NOT NULL
) STRICT;

-- Denials, symbols that may open nothing, gate changes and what the risk room noticed.
CREATE TABLE risk_events (
    id           INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    at_ns        INTEGER NOT NULL,
    what         TEXT NOT NULL,            -- denied, paused, latched, gate_opened, gate_closed, notice
    reason       TEXT NOT NULL,
    symbol       TEXT,                     -- denied, paused, latched
    order_id     INTEGER                   -- denied only: the order to place or to cancel
) STRICT;

-- Reconnects, resyncs, latches, lost log events.
CREATE TABLE notices (
    id           INTEGER PRIMARY KEY,
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    at_ns        INTEGER NOT NULL,
    room         TEXT NOT NULL,            -- feed, engine, risk, oms, storage, control
    what         TEXT NOT NULL,
    value        INTEGER NOT NULL
) STRICT;

-- Latencies of a session, nanoseconds; renewed every few seconds.
CREATE TABLE latency (
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    span         TEXT NOT NULL,
    count        INTEGER NOT NULL,
    mean         INTEGER NOT NULL,
    p50          INTEGER NOT NULL,
    p90          INTEGER NOT NULL,
    p99          INTEGER NOT NULL,
    p999         INTEGER NOT NULL,
    max          INTEGER NOT NULL,
    PRIMARY KEY (session_id, span)
) STRICT, WITHOUT ROWID;

-- The whole histogram behind a row of latency, three significant digits; written when the session ends.
CREATE TABLE latency_buckets (
    session_id   INTEGER NOT NULL REFERENCES sessions(id),
    span         TEXT NOT NULL,
    nanos        INTEGER NOT NULL,         -- upper end of the bucket
    count        INTEGER NOT NULL,
    PRIMARY KEY (session_id, span, nanos)
) STRICT, WITHOUT ROWID;

-- Orders for people: UTC time, decimals.
CREATE VIEW orders_view AS SELECT
    session_id, client_id, symbol,
    strftime('%Y-%m-%d %H:%M:%f', decided_ns / 1e9, 'unixepoch') AS decided,
    side, kind, tif, price / 1e8 AS price, qty / 1e8 AS qty, reduce_only,
    state, filled / 1e8 AS filled, exchange_id
FROM orders;

-- Fills for people: UTC time, decimals.
CREATE VIEW fills_view AS SELECT
    fills.session_id, orders.client_id, fills.symbol, fills.trade_id,
    strftime('%Y-%m-%d %H:%M:%f', fills.at_ns / 1e9, 'unixepoch') AS at,
    fills.side, fills.price / 1e8 AS price, fills.qty / 1e8 AS qty,
    iif(fills.maker, 'maker', 'taker') AS role, fills.fee / 1e8 AS fee
FROM fills LEFT JOIN orders USING (order_id);
";
