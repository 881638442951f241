//! `exchangeInfo` into instruments: filters are found by their type, in whatever order they come.
//!
//! A missing or impossible filter is an error that names the symbol: an order must not be judged by a guess. Pure.

use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Notional, Price, Qty};
use serde::Deserialize;

use super::{EXCHANGE_INFO, RawLimit, Rules, UNITS_PER_PPM, answer, order_limits_of, ppm_up};
use crate::binance::json::Exact;
use crate::binance::truth::printable;
use crate::error::OmsError;

/// Reads the body of `exchangeInfo`.
pub fn rules(body: &[u8], names: &[SymbolName], margin_asset: &str) -> Result<Rules, OmsError> {
    let raw: RawInfo = serde_json::from_slice(body).map_err(|error| answer(EXCHANGE_INFO, &error))?;
    let mut instruments = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let found = raw.symbols.iter().find(|symbol| symbol.symbol == name.as_str());
        let found = found.ok_or_else(|| OmsError::NoSuchSymbol(name.to_string()))?;
        let symbol = SymbolId(u16::try_from(index).map_err(|_| bad(name, "too many symbols"))?);
        instruments.push(found.read(symbol, *name, margin_asset)?);
    }
    let weight = |limit: &&RawLimit| limit.rate_limit_type == "REQUEST_WEIGHT" && limit.interval == "MINUTE";
    let weight = raw.rate_limits.iter().find(weight).map(|limit| limit.limit);
    let missing = || OmsError::Answer { path: EXCHANGE_INFO, reason: "no REQUEST_WEIGHT limit".to_owned() };
    Ok(Rules {
        instruments,
        weight_minute: weight.ok_or_else(missing)?,
        orders: order_limits_of(EXCHANGE_INFO, &raw.rate_limits)?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawInfo {
    rate_limits: Vec<RawLimit>,
    symbols: Vec<RawSymbol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSymbol {
    symbol: String,
    status: String,
    #[serde(default)]
    margin_asset: String,
    filters: Vec<RawFilter>,
}

/// All filters in one shape: which fields are there depends on the type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawFilter {
    filter_type: String,
    min_price: Option<Exact>,
    max_price: Option<Exact>,
    tick_size: Option<Exact>,
    min_qty: Option<Exact>,
    max_qty: Option<Exact>,
    step_size: Option<Exact>,
    limit: Option<u32>,
    notional: Option<Exact>,
    multiplier_up: Option<Exact>,
    multiplier_down: Option<Exact>,
}

impl RawSymbol {
    fn read(&self, symbol: SymbolId, name: SymbolName, margin_asset: &str) -> Result<Instrument, OmsError> {
        if self.status != "TRADING" {
            let status = printable(self.status.as_bytes());
            return Err(OmsError::NotTrading { symbol: name.to_string(), status });
        }
        if self.margin_asset != margin_asset {
            return Err(bad(&name, "it is not settled in the configured margin asset"));
        }
        let price = self.filter("PRICE_FILTER").ok_or_else(|| bad(&name, "no PRICE_FILTER"))?;
        let lot = self.filter("LOT_SIZE").ok_or_else(|| bad(&name, "no LOT_SIZE"))?;
        let market = self.filter("MARKET_LOT_SIZE").unwrap_or(lot);
        let notional = self.filter("MIN_NOTIONAL").ok_or_else(|| bad(&name, "no MIN_NOTIONAL"))?;
        let percent = self.filter("PERCENT_PRICE").ok_or_else(|| bad(&name, "no PERCENT_PRICE"))?;
        let need = |field: Option<Exact>, what: &str| field.map(|value| value.0).ok_or_else(|| bad(&name, what));
        let step = |field: Option<Exact>, what: &str| {
            need(field, what).and_then(|units| if units > 0 { Ok(units) } else { Err(bad(&name, what)) })
        };
        let qty = |field, what| need(field, what).map(Qty::from_units);
        let bound = |field: Option<Exact>| Price::from_units(field.unwrap_or_default().0);
        Ok(Instrument {
            symbol,
            name,
            tick_size: Price::from_units(step(price.tick_size, "PRICE_FILTER without a tick")?),
            price_min: bound(price.min_price),
            price_max: bound(price.max_price),
            step_size: Qty::from_units(step(lot.step_size, "LOT_SIZE without a step")?),
            qty_min: qty(lot.min_qty, "LOT_SIZE without a minimum")?,
            qty_max: qty(lot.max_qty, "LOT_SIZE without a maximum")?,
            market_step_size: Qty::from_units(step(market.step_size, "MARKET_LOT_SIZE without a step")?),
            market_qty_min: qty(market.min_qty, "MARKET_LOT_SIZE without a minimum")?,
            market_qty_max: qty(market.max_qty, "MARKET_LOT_SIZE without a maximum")?,
            notional_min: Notional::from_units(need(notional.notional, "MIN_NOTIONAL without a value")?.into()),
            // Rounded towards the market, so that what we allow is never beyond what the exchange allows.
            percent_up_ppm: need(percent.multiplier_up, "PERCENT_PRICE without a bound")? / UNITS_PER_PPM,
            percent_down_ppm: ppm_up(need(percent.multiplier_down, "PERCENT_PRICE without a bound")?),
            open_orders_max: self.filter("MAX_NUM_ORDERS").and_then(|f| f.limit).unwrap_or(OPEN_ORDERS_DEFAULT),
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
        })
    }

    fn filter(&self, kind: &str) -> Option<&RawFilter> {
        self.filters.iter().find(|filter| filter.filter_type == kind)
    }
}

fn bad(name: &SymbolName, what: &str) -> OmsError {
    OmsError::Answer { path: EXCHANGE_INFO, reason: format!("{name}: {what}") }
}

/// Open orders per symbol where the exchange does not say (documented value).
const OPEN_ORDERS_DEFAULT: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::samples;

    const INFO: &str = r#"{"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400},
        {"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1200},
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300}],
        "symbols":[{"symbol":"BTCUSDT","status":"TRADING","marginAsset":"USDT","filters":[
        {"filterType":"PRICE_FILTER","minPrice":"556.80","maxPrice":"4529764","tickSize":"0.10"},
        {"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"1000","stepSize":"0.001"},
        {"filterType":"MIN_NOTIONAL","notional":"50"},
        {"filterType":"PERCENT_PRICE","multiplierUp":"1.0500","multiplierDown":"0.9500","multiplierDecimal":"4"}]}]}"#;

    fn name(text: &str) -> SymbolName {
        SymbolName::from(text).unwrap()
    }

    #[test]
    fn filters_become_an_instrument() {
        let rules = rules(INFO.as_bytes(), &[name("BTCUSDT")], "USDT").unwrap();
        let btc = rules.instruments[0];
        assert_eq!((btc.tick_size.to_string(), btc.step_size.to_string()), ("0.1".into(), "0.001".into()));
        assert_eq!((btc.percent_up_ppm, btc.percent_down_ppm, btc.open_orders_max), (1_050_000, 950_000, 200));
        assert_eq!(btc.market_qty_max, btc.qty_max, "without MARKET_LOT_SIZE, LOT_SIZE counts");
        assert_eq!((rules.weight_minute, rules.orders.ten_seconds, rules.orders.minute), (2400, 300, 1200));
    }

    #[test]
    fn what_cannot_be_traded_is_named() {
        let table = [
            ("ETHUSDT", "USDT", INFO.to_owned(), "the exchange does not list ETHUSDT"),
            (
                "BTCUSDT",
                "USDT",
                INFO.replace("\"TRADING\"", "\"SETTLING\""),
                "BTCUSDT does not trade (status SETTLING)",
            ),
            ("BTCUSDT", "USDC", INFO.to_owned(), "BTCUSDT: it is not settled in the configured margin asset"),
            ("BTCUSDT", "USDT", INFO.replace("PERCENT_PRICE", "X"), "BTCUSDT: no PERCENT_PRICE"),
            ("BTCUSDT", "USDT", INFO.replace("0.10", "0"), "BTCUSDT: PRICE_FILTER without a tick"),
            (
                "BTCUSDT",
                "USDT",
                INFO.replace("\"notional\"", "\"minNotional\""),
                "BTCUSDT: MIN_NOTIONAL without a value",
            ),
            ("BTCUSDT", "USDT", INFO.replace("ORDERS", "RAW"), "no ORDERS limit of 10 SECOND"),
            ("BTCUSDT", "USDT", "<html>".to_owned(), "the answer makes no sense"),
        ];
        for (symbol, asset, info, expected) in table {
            let error = rules(info.as_bytes(), &[name(symbol)], asset).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn sample_and_recorded_answers_are_read() {
        use std::io::Read as _;
        let Some(sample) = samples::message("rest-exchangeInfo.json") else { return };
        let wanted = [name("ETHUSDT"), name("BTCUSDT")];
        let parsed = rules(sample.as_bytes(), &wanted, "USDT").unwrap();
        assert_eq!(parsed.instruments[1].symbol, SymbolId(1));
        assert_eq!(parsed.instruments[1].market_qty_max.to_string(), "120");
        let Some(packed) = samples::bytes("data/exchange-info/fapi_exchangeInfo_20240212.json.gz") else { return };
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut body).unwrap();
        let all: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let trading = all["symbols"].as_array().unwrap().iter().filter(|symbol| symbol["status"] == "TRADING");
        let mut read = 0;
        for symbol in trading {
            let asset = symbol["marginAsset"].as_str().unwrap();
            let parsed = rules(&body, &[name(symbol["symbol"].as_str().unwrap())], asset);
            assert!(parsed.is_ok(), "{parsed:?}");
            read += 1;
            if read == 20 {
                break;
            }
        }
        assert_eq!(read, 20);
    }
}
