//! Market messages as Binance writes them: key by key, in the order of the wire.
//!
//! Pure: values in, one line of JSON out.

use std::fmt::Write;

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::{self, Text};
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty, Side};

use super::depth::Update;
use crate::binance::tape::kline::{Interval, Kline};
use crate::binance::tape::{AggTrade, Day, Trade};
use crate::core::Mark;
use crate::words::Listing;

/// `depthUpdate`, for diffs and partial depth alike.
pub fn depth(event: Nanos, listing: &Listing, update: &Update) -> String {
    let mut text = String::with_capacity(DEPTH_LEN + (update.bids.len() + update.asks.len()) * LEVEL_LEN);
    put(
        &mut text,
        format_args!(
            r#"{{"e":"depthUpdate","E":{0},"T":{1},"s":"{2}","ps":"{2}","U":{3},"u":{4},"pu":{5},"b":"#,
            event.millis(),
            update.changed.millis(),
            listing.name,
            update.first_id,
            update.last_id,
            update.previous_id
        ),
    );
    put_levels(&mut text, listing, &update.bids);
    text.push_str(r#","a":"#);
    put_levels(&mut text, listing, &update.asks);
    text.push_str(r#","st":1}"#);
    text
}

fn put_levels(text: &mut String, listing: &Listing, levels: &[Level]) {
    text.push('[');
    for (index, level) in levels.iter().enumerate() {
        let before = if index == 0 { "[\"" } else { ",[\"" };
        push(text, [before, &price(listing, level.price), "\",\"", &qty(listing, level.qty), "\"]"]);
    }
    text.push(']');
}

/// `bookTicker`
pub fn top(event: Nanos, listing: &Listing, update_id: u64, bid: Level, ask: Level, changed: Nanos) -> String {
    // Told so often that it is put together by hand.
    let mut text = String::with_capacity(TOP_LEN);
    push(&mut text, [r#"{"e":"bookTicker","u":"#, &whole(update_id), r#","s":""#, &listing.name]);
    push(&mut text, [r#"","ps":""#, &listing.name, r#"","b":""#, &price(listing, bid.price)]);
    push(&mut text, [r#"","B":""#, &qty(listing, bid.qty), r#"","a":""#, &price(listing, ask.price)]);
    push(&mut text, [r#"","A":""#, &qty(listing, ask.qty), r#"","T":"#, &whole(changed.millis())]);
    push(&mut text, [r#","E":"#, &whole(event.millis()), r#","st":1}"#]);
    text
}

/// `trade`
pub fn trade(listing: &Listing, trade: &Trade) -> String {
    let ms = trade.at.millis();
    format!(
        r#"{{"e":"trade","E":{ms},"T":{ms},"s":"{}","t":{},"p":"{}","q":"{}","X":"MARKET","m":{}}}"#,
        listing.name,
        trade.id,
        price(listing, trade.price),
        qty(listing, trade.qty),
        buyer_is_maker(trade.taker),
    )
}

/// `aggTrade`
pub fn agg_trade(event: Nanos, listing: &Listing, trade: &AggTrade) -> String {
    format!(
        r#"{{"e":"aggTrade","E":{0},"a":{1},"s":"{2}","p":"{3}","q":"{4}","nq":"{4}","f":{5},"l":{6},"T":{7},"m":{8},"st":1}}"#,
        event.millis(),
        trade.id,
        listing.name,
        price(listing, trade.price),
        qty(listing, trade.qty),
        trade.first_id,
        trade.last_id,
        trade.at.millis(),
        buyer_is_maker(trade.taker),
    )
}

/// `markPriceUpdate`
pub fn mark(event: Nanos, listing: &Listing, mark: &Mark) -> String {
    format!(
        r#"{{"e":"markPriceUpdate","E":{0},"s":"{1}","p":"{2}","ap":"{2}","P":"{3}","i":"{3}","r":"{4}","T":{5},"st":1}}"#,
        event.millis(),
        listing.name,
        mark.mark.text(decimal::DECIMALS),
        mark.index.text(decimal::DECIMALS),
        decimal::write(mark.funding_rate, decimal::DECIMALS),
        mark.next_funding_ms,
    )
}

/// `kline`
pub fn kline(event: Nanos, listing: &Listing, interval: Interval, kline: &Kline, closed: bool) -> String {
    let id = |id: Option<u64>| id.map_or_else(|| "-1".to_owned(), |id| id.to_string());
    format!(
        r#"{{"e":"kline","E":{0},"s":"{1}","k":{{"t":{2},"T":{3},"s":"{1}","i":"{4}","f":{5},"L":{6},"o":"{7}","c":"{8}","h":"{9}","l":"{10}","v":"{11}","n":{12},"x":{closed},"q":"{13}","V":"{14}","Q":"{15}","B":"0"}}}}"#,
        event.millis(),
        listing.name,
        kline.open_ms,
        kline.close_ms,
        interval.text(),
        id(kline.ids.map(|(first, _)| first)),
        id(kline.ids.map(|(_, last)| last)),
        price(listing, kline.open),
        price(listing, kline.close),
        price(listing, kline.high),
        price(listing, kline.low),
        qty(listing, kline.volume),
        kline.count,
        quote(listing, kline.quote),
        qty(listing, kline.taker_volume),
        quote(listing, kline.taker_quote),
    )
}

/// `24hrMiniTicker`
pub fn mini_ticker(event: Nanos, listing: &Listing, day: &Day) -> String {
    format!(
        r#"{{"e":"24hrMiniTicker","E":{0},"s":"{1}","c":"{2}","o":"{3}","h":"{4}","l":"{5}","v":"{6}","q":"{7}","ps":"{1}","st":1}}"#,
        event.millis(),
        listing.name,
        price(listing, day.close),
        price(listing, day.open),
        price(listing, day.high),
        price(listing, day.low),
        qty(listing, day.volume),
        quote(listing, day.quote),
    )
}

/// `24hrTicker`
pub fn ticker(event: Nanos, listing: &Listing, day: &Day) -> String {
    let (first_id, last_id) = day.ids.map_or((-1, -1), |(first, last)| (i128::from(first), i128::from(last)));
    format!(
        r#"{{"e":"24hrTicker","E":{0},"s":"{1}","p":"{2}","P":"{3}","w":"{4}","c":"{5}","Q":"{6}","o":"{7}","h":"{8}","l":"{9}","v":"{10}","q":"{11}","O":{12},"C":{0},"F":{first_id},"L":{last_id},"n":{13},"ps":"{1}","st":1}}"#,
        event.millis(),
        listing.name,
        price(listing, day.close - day.open),
        decimal::write(day.change_percent_units(), 3),
        price(listing, day.average()),
        price(listing, day.close),
        qty(listing, day.last_qty),
        price(listing, day.open),
        price(listing, day.high),
        price(listing, day.low),
        qty(listing, day.volume),
        quote(listing, day.quote),
        day.open_ms,
        day.count,
    )
}

/// Several messages as one array.
pub fn array(messages: &[String]) -> String {
    format!("[{}]", messages.join(","))
}

/// A price as the symbol's market data shows it.
pub fn price(listing: &Listing, price: Price) -> Text {
    padded(price.units(), listing.price_precision)
}

/// A quantity as the symbol's market data shows it.
pub fn qty(listing: &Listing, qty: Qty) -> Text {
    padded(qty.units(), listing.qty_precision)
}

fn quote(listing: &Listing, quote: Notional) -> Text {
    padded(quote.units_i64(), listing.price_precision + listing.qty_precision)
}

/// At least `decimals` decimals, more where digits would be lost.
fn padded(units: i64, decimals: usize) -> Text {
    decimal::write(units, decimals.max(decimal::decimals_of(units)).min(decimal::DECIMALS))
}

const fn buyer_is_maker(taker: Side) -> bool {
    matches!(taker, Side::Sell)
}

fn push<const N: usize>(text: &mut String, pieces: [&str; N]) {
    pieces.into_iter().for_each(|piece| text.push_str(piece));
}

/// A whole number.
fn whole(number: u64) -> Text {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let mut text = Text::new();
    digits[at..].iter().for_each(|digit| text.push(char::from(*digit)));
    text
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = text.write_fmt(arguments);
}

/// Room for a depth message without its levels, and for one level: sizes a buffer, limits nothing.
const DEPTH_LEN: usize = 192;
const LEVEL_LEN: usize = 32;
/// Room for a best bid and ask: sizes a buffer, limits nothing.
const TOP_LEN: usize = 224;

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
