//! The words inside the simulated exchange: what the market did, what is asked of the core, what it answers.
//!
//! Plain data; no rules. Times are the exchange's own (`now` as handed in), in `Nanos`; ids are Binance-like integers.

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};

/// A symbol the exchange lists, with its filters. Index in the exchange's list is its identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Upper case, such as `BTCUSDT`.
    pub name: String,
    /// Base asset, such as `BTC`.
    pub base_asset: String,
    /// PRICE_FILTER tick.
    pub tick_size: Price,
    /// PRICE_FILTER lower bound.
    pub price_min: Price,
    /// PRICE_FILTER upper bound.
    pub price_max: Price,
    /// LOT_SIZE and MARKET_LOT_SIZE step.
    pub step_size: Qty,
    /// LOT_SIZE lower bound.
    pub qty_min: Qty,
    /// LOT_SIZE upper bound.
    pub qty_max: Qty,
    /// MARKET_LOT_SIZE upper bound.
    pub market_qty_max: Qty,
    /// MIN_NOTIONAL.
    pub notional_min: Notional,
    /// PERCENT_PRICE band, ppm each side of the mark (50 000 = 5 %).
    pub percent_price_ppm: i64,
    /// MAX_NUM_ORDERS.
    pub open_orders_max: u32,
    /// Decimals of prices on the wire (`28145.10` has 2 though the tick is 0.1).
    pub price_precision: usize,
    /// Decimals of quantities on the wire.
    pub qty_precision: usize,
}

/// Index into the exchange's listings.
pub type SymbolIndex = usize;

/// One thing the market did.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketTick {
    /// When, in the market's own time as the source has it; re-stamped with exchange time by the core.
    pub at: Nanos,
    /// Which listing.
    pub symbol: SymbolIndex,
    /// What.
    pub what: Tick,
}

/// What the market did.
#[derive(Clone, Debug, PartialEq)]
pub enum Tick {
    /// The whole book as of update `id`: replaces what was known.
    Snapshot {
        /// `lastUpdateId`.
        id: u64,
        /// Best first.
        bids: Vec<Level>,
        /// Best first.
        asks: Vec<Level>,
    },
    /// Absolute quantities of changed levels.
    Depth {
        /// `U`
        first_id: u64,
        /// `u`
        last_id: u64,
        /// `u` of the diff before in the source.
        previous_id: u64,
        /// Changed bids.
        bids: Vec<Level>,
        /// Changed asks.
        asks: Vec<Level>,
    },
    /// One trade.
    Trade {
        /// Trade id, increasing.
        id: u64,
        /// Price.
        price: Price,
        /// Quantity.
        qty: Qty,
        /// Who crossed the spread.
        taker: Side,
    },
    /// Best bid and ask: nothing better exists. A side of price zero is not told; one of quantity zero is empty.
    Top {
        /// Update id, of the same space as depth; an update that is known already is old news and ignored.
        update_id: u64,
        /// Best bid.
        bid: Level,
        /// Best ask.
        ask: Level,
    },
    /// Mark price.
    Mark {
        /// Mark price.
        mark: Price,
        /// Index price.
        index: Price,
        /// Funding rate, 10⁻⁸.
        funding_rate: i64,
        /// Next funding, ms of the exchange's time.
        next_funding_ms: u64,
    },
    /// One of the market's own orders came to rest at the end of its queue, or was cancelled; only where asked for.
    Single {
        /// Which order; ids count up in the order of arrival.
        id: u64,
        /// Its side.
        side: Side,
        /// Its price.
        price: Price,
        /// Positive: what came to rest. Negative: what was left of it when it was cancelled.
        change: Qty,
    },
}

/// A request to place an order, already parsed and authenticated.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Which listing.
    pub symbol: SymbolIndex,
    /// Client order id; the face makes one up when the client sent none.
    pub client_id: String,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit price; zero for market.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// May only shrink the position.
    pub reduce_only: bool,
    /// What happens when it would meet an own order.
    pub self_trade: SelfTrade,
    /// What it carries beside.
    pub terms: Terms,
}

/// What matching does not need to know of an order, but its owner is told again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When a good-till-date order expires; its time in force is good-till-cancelled until then.
    pub good_till: Option<Nanos>,
    /// Where the price was taken from.
    pub price_match: PriceMatch,
}

/// Where an order's price is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceMatch {
    /// The client said it.
    #[default]
    None,
    /// The best price of the other side.
    Opponent,
    /// The fifth price of the other side.
    Opponent5,
    /// The best price of the own side.
    Queue,
    /// The fifth price of the own side.
    Queue5,
    /// The tenth price of the own side.
    Queue10,
    /// The twentieth price of the own side.
    Queue20,
}

/// What an order is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The order's side, which cannot change.
    pub side: Side,
    /// New price.
    pub price: Price,
    /// Where the new price was taken from.
    pub price_match: PriceMatch,
    /// New total quantity.
    pub qty: Qty,
}

/// Self-trade prevention of the taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTrade {
    /// Trade with oneself (only for tests of others).
    None,
    /// The incoming order expires.
    ExpireTaker,
    /// The resting order expires.
    ExpireMaker,
    /// Both expire.
    ExpireBoth,
}

/// How a client names an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// The exchange's id.
    Id(u64),
    /// The client's id.
    Client(String),
}

/// An order as the exchange keeps it, alive or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Exchange id, increasing.
    pub id: u64,
    /// The exchange's own: it closes a position for want of margin.
    pub liquidates: bool,
    /// What was asked.
    pub placed: Placement,
    /// Where it stands.
    pub status: OrderStatus,
    /// Filled so far.
    pub filled: Qty,
    /// Σ price × quantity of the fills.
    pub filled_quote: Notional,
    /// When it was accepted.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Resting, nothing filled.
    New,
    /// Resting, partly filled.
    PartiallyFilled,
    /// Ended by fills.
    Filled,
    /// Ended by a cancel.
    Canceled,
    /// Ended by its time in force.
    Expired,
    /// Ended by self-trade prevention.
    ExpiredInMatch,
}

impl OrderStatus {
    /// Still on the book?
    pub const fn is_open(self) -> bool {
        matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}

/// A trade of the account.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Trade id, increasing over all symbols.
    pub trade_id: u64,
    /// The order's exchange id.
    pub order_id: u64,
    /// The order's client id.
    pub client_id: String,
    /// Which listing.
    pub symbol: SymbolIndex,
    /// The order's side.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Was the order resting?
    pub maker: bool,
    /// Fee in USDT; negative is a rebate.
    pub fee: Notional,
    /// Profit realised by this fill, before the fee.
    pub realized: Notional,
    /// When.
    pub at: Nanos,
}

/// A position, one-way mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Signed quantity.
    pub qty: Qty,
    /// Average entry price; zero when flat.
    pub entry: Price,
    /// Σ price × quantity of what is held, positive for long and short alike.
    pub cost: Notional,
    /// Fees paid for what is held.
    pub fees: Notional,
    /// Profit realised since the start, before fees.
    pub realized: Notional,
    /// When it last changed.
    pub updated: Nanos,
}

/// What the core did, in order; the face turns it into stream and user-data events.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "events live for a moment, and the large ones are read in full")]
pub enum CoreEvent {
    /// The market moved (re-stamped with exchange time; already applied to the book).
    Market(MarketTick),
    /// An order was accepted. Comes before its fills.
    New(Order),
    /// A fill, with the order as it stands after it and the position and wallet as they stand after it.
    Fill {
        /// The order after the fill.
        order: Order,
        /// The fill.
        fill: Fill,
        /// The position after the fill.
        position: Position,
        /// The wallet after the fill.
        wallet: Notional,
    },
    /// An order was amended.
    Amended(Order),
    /// An order ended without filling completely; `reason` is Binance's `er` (2 IOC remainder, 1 self-trade, 0 cancel …).
    Ended {
        /// The order after its end.
        order: Order,
        /// Binance's `er`.
        reason: u8,
    },
    /// The margin balance fell below the maintenance margin. The ends of every open order (`er` 5) follow, then the
    /// orders that close positions, whose client ids begin with `autoclose-`, and their fills.
    Liquidation {
        /// When.
        at: Nanos,
        /// Wallet and unrealised profit at the marks.
        margin_balance: Notional,
        /// What it should have been at least.
        maintenance: Notional,
    },
    /// Funding was paid (negative) or received.
    Funding {
        /// When: the funding time itself.
        at: Nanos,
        /// Which listing.
        symbol: SymbolIndex,
        /// Change of the wallet.
        amount: Notional,
        /// The wallet afterwards.
        wallet: Notional,
    },
}

/// Why the core refuses; the face knows the code and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Price not positive, or below PRICE_FILTER.
    PriceTooLow,
    /// Price above PRICE_FILTER.
    PriceTooHigh,
    /// Price not a multiple of the tick.
    PriceOffTick,
    /// Buy above the PERCENT_PRICE band; the bound.
    PriceAboveBand(Price),
    /// Sell below the PERCENT_PRICE band; the bound.
    PriceBelowBand(Price),
    /// Quantity not positive, or below LOT_SIZE.
    QtyTooLow,
    /// Quantity above LOT_SIZE or MARKET_LOT_SIZE.
    QtyTooHigh,
    /// Quantity not a multiple of the step.
    QtyOffStep,
    /// Below MIN_NOTIONAL; the minimum.
    NotionalTooLow(Notional),
    /// A GTX order that would take.
    WouldTake,
    /// A FOK order that cannot fill at once.
    CannotFill,
    /// Reduce-only without a position to reduce.
    NotReducing,
    /// Not enough margin.
    InsufficientMargin,
    /// MAX_NUM_ORDERS reached.
    TooManyOpenOrders,
    /// An open order has the same client id.
    DuplicateClientId,
    /// A market order with an empty book.
    NoLiquidity,
    /// A market order whose best counterparty stands beyond the PERCENT_PRICE band.
    CounterpartyBeyondBand,
    /// More than the leverage allows to hold, open orders included.
    PositionTooLarge,
    /// A leverage so low that the margin would not suffice.
    LeverageTooLow,
    /// The order was amended as often as an order may be.
    TooManyAmendments,
    /// No such order, or not open (cancel, modify).
    UnknownOrder,
    /// An amendment that changes nothing.
    NothingToModify,
}
