//! What the simulated exchange asks of an account and charges it: the same fields as flags and in the table `[backtest]`.
//!
//! What is absent has its default where it is used. Never opens a file, never invents a number that no source tells.

use std::str::FromStr;

use clap::Args;
use optiflow_base::decimal;
use optiflow_base::money::Notional;
use optiflow_sim::core::brackets::LEVERAGE_MAX;
use optiflow_sim::replay::terms::{Margin, ORDERS_MINUTE, ORDERS_TEN_SECONDS, SelfTrade, Terms};

use super::backtest::{parse_fee, parsed};
use super::reader::Section;

/// What was asked for, by file or by flags.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsConfig {
    /// Both fees: `regular` (2bps and 5bps), or MAKER:TAKER such as 0bps:1.7bps [default: regular].
    #[arg(long, value_name = "regular | MAKER:TAKER", allow_hyphen_values = true)]
    pub fees: Option<Fees>,
    /// Fee of a maker's fill, such as 200ppm (also just 200), 2bps or 0.02%; negative is a rebate [default: 2bps].
    #[arg(long, value_name = "FEE", value_parser = parse_fee, allow_hyphen_values = true)]
    pub maker_fee: Option<i64>,
    /// Fee of a taker's fill, likewise [default: 5bps].
    #[arg(long, value_name = "FEE", value_parser = parse_fee, allow_hyphen_values = true)]
    pub taker_fee: Option<i64>,
    /// What the account begins with: orders beyond its margin are refused, and it can be liquidated [default: no limit].
    #[arg(long, value_name = "AMOUNT", value_parser = parse_wallet)]
    pub wallet: Option<Notional>,
    /// Leverage of the wallet [default: 20].
    #[arg(long, value_name = "X", value_parser = clap::value_parser!(u32).range(1..=i64::from(LEVERAGE_MAX)))]
    pub leverage: Option<u32>,
    /// What a liquidation costs beyond the taker's fee [default: 1.25%].
    #[arg(long, value_name = "FEE", value_parser = parse_fee)]
    pub liquidation_fee: Option<i64>,
    /// Least value of an order that is not reduce-only; 0 for none [default: 0].
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount)]
    pub min_notional: Option<Notional>,
    /// New orders and modifications in ten seconds; 0 for no limit [default: 300].
    #[arg(long, value_name = "N")]
    pub orders_ten_seconds: Option<u32>,
    /// New orders and modifications in a minute; 0 for no limit [default: 1200].
    #[arg(long, value_name = "N")]
    pub orders_minute: Option<u32>,
    /// What becomes of own orders that meet: none, expire-taker, expire-maker, expire-both [default: expire-maker].
    #[arg(long, value_name = "MODE")]
    pub stp: Option<SelfTrade>,
}

/// Fees by name or number, ppm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Of a maker's fill.
    pub maker_ppm: i64,
    /// Of a taker's fill.
    pub taker_ppm: i64,
}

impl Fees {
    /// What everybody pays.
    pub const REGULAR: Fees = Fees { maker_ppm: 200, taker_ppm: 500 };
}

impl FromStr for Fees {
    type Err = String;
    fn from_str(text: &str) -> Result<Fees, String> {
        let is_tier = text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("vip"));
        match text.split_once(':') {
            None if text == "regular" => Ok(Fees::REGULAR),
            None if is_tier => {
                Err(format!("the fees of {text} are not known here; look them up and write MAKER:TAKER"))
            }
            None => Err(format!("{text:?}: write regular, or MAKER:TAKER such as 2bps:5bps")),
            Some((maker, taker)) => Ok(Fees { maker_ppm: parse_fee(maker)?, taker_ppm: parse_fee(taker)? }),
        }
    }
}

impl TermsConfig {
    /// Reads the fields of the table `[backtest]`.
    pub fn read(section: &Section<'_>) -> TermsConfig {
        let count = |key| section.has(key).then(|| section.int(key, None, 0..=i64::from(u32::MAX)));
        let leverage = section.has("leverage").then(|| section.int("leverage", None, 1..=i64::from(LEVERAGE_MAX)));
        let small = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
        TermsConfig {
            fees: parsed(section, "fees", Fees::from_str),
            maker_fee: parsed(section, "maker_fee", parse_fee),
            taker_fee: parsed(section, "taker_fee", parse_fee),
            wallet: parsed(section, "wallet", parse_wallet),
            leverage: small(leverage),
            liquidation_fee: parsed(section, "liquidation_fee", parse_fee),
            min_notional: parsed(section, "min_notional", parse_amount),
            orders_ten_seconds: small(count("orders_ten_seconds")),
            orders_minute: small(count("orders_minute")),
            stp: parsed(section, "stp", SelfTrade::from_str),
        }
    }

    /// These before `file`.
    #[must_use]
    pub fn over(&self, file: &TermsConfig) -> TermsConfig {
        // A flag for both fees goes before a file that names one of them.
        let maker_fee = self.maker_fee.or(self.fees.map(|fees| fees.maker_ppm)).or(file.maker_fee);
        let taker_fee = self.taker_fee.or(self.fees.map(|fees| fees.taker_ppm)).or(file.taker_fee);
        TermsConfig {
            fees: self.fees.or(file.fees),
            maker_fee,
            taker_fee,
            wallet: self.wallet.or(file.wallet),
            leverage: self.leverage.or(file.leverage),
            liquidation_fee: self.liquidation_fee.or(file.liquidation_fee),
            min_notional: self.min_notional.or(file.min_notional),
            orders_ten_seconds: self.orders_ten_seconds.or(file.orders_ten_seconds),
            orders_minute: self.orders_minute.or(file.orders_minute),
            stp: self.stp.or(file.stp),
        }
    }

    /// The fees, with defaults for what is absent.
    pub fn fees(&self) -> Fees {
        let both = self.fees.unwrap_or(Fees::REGULAR);
        Fees {
            maker_ppm: self.maker_fee.unwrap_or(both.maker_ppm),
            taker_ppm: self.taker_fee.unwrap_or(both.taker_ppm),
        }
    }

    /// The exchange's terms, with defaults for what is absent; with the peer's conventions there are none.
    ///
    /// # Errors
    /// When there is something about margin and no wallet, or something at all with the peer's conventions.
    pub fn terms(&self, compatible: bool) -> Result<Terms, String> {
        if compatible {
            return match self.first_given() {
                None => Ok(Terms::default()),
                Some(flag) => Err(format!(
                    "--{flag} is of the realistic rules, and hftbacktest's conventions know nothing of it; leave it or --compatible out"
                )),
            };
        }
        if self.wallet.is_none() && (self.leverage.is_some() || self.liquidation_fee.is_some()) {
            return Err("leverage and liquidation_fee are about a wallet; give it, such as --wallet 10000".to_owned());
        }
        let margin = self.wallet.map(|wallet| Margin {
            wallet,
            leverage: self.leverage.unwrap_or(LEVERAGE_USUAL),
            liquidation_fee_ppm: self.liquidation_fee.unwrap_or(LIQUIDATION_FEE_PPM_USUAL),
        });
        Ok(Terms {
            min_notional: self.min_notional.unwrap_or_default(),
            orders_ten_seconds: self.orders_ten_seconds.unwrap_or(ORDERS_TEN_SECONDS),
            orders_minute: self.orders_minute.unwrap_or(ORDERS_MINUTE),
            self_trade: self.stp.unwrap_or(SelfTrade::ExpireMaker),
            margin,
        })
    }
}

impl TermsConfig {
    /// The flag of what was given and is no fee of a fill, where there is any.
    fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("wallet", self.wallet.is_some()),
            ("leverage", self.leverage.is_some()),
            ("liquidation-fee", self.liquidation_fee.is_some()),
            ("min-notional", self.min_notional.is_some()),
            ("orders-ten-seconds", self.orders_ten_seconds.is_some()),
            ("orders-minute", self.orders_minute.is_some()),
            ("stp", self.stp.is_some()),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// Reads an amount of the quote asset, zero or more.
fn parse_amount(text: &str) -> Result<Notional, String> {
    match decimal::parse(text.as_bytes()) {
        Ok(units) if units >= 0 => Ok(Notional::from_units(i128::from(units))),
        Ok(_) => Err(format!("{text:?} must not be below zero")),
        Err(error) => Err(format!("{text:?} {error}")),
    }
}

fn parse_wallet(text: &str) -> Result<Notional, String> {
    let amount = parse_amount(text)?;
    if amount.is_zero() { Err(format!("{text:?} must be above zero")) } else { Ok(amount) }
}

/// Binance's own default.
const LEVERAGE_USUAL: u32 = 20;
/// BTCUSDT's.
const LIQUIDATION_FEE_PPM_USUAL: i64 = 12_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_have_a_name_only_where_their_numbers_are_known() {
        assert_eq!("regular".parse(), Ok(Fees { maker_ppm: 200, taker_ppm: 500 }));
        assert_eq!("-0.5bps:0.04%".parse(), Ok(Fees { maker_ppm: -50, taker_ppm: 400 }));
        for (bad, says) in
            [("vip3", "vip3 are not known"), ("VIP9", "VIP9"), ("cheap", "MAKER:TAKER"), ("1bps:x", "\"x\"")]
        {
            assert!(bad.parse::<Fees>().unwrap_err().contains(says), "{bad}");
        }
    }

    #[test]
    fn the_nearer_word_on_a_fee_counts() {
        let fees = |maker_ppm, taker_ppm| Some(Fees { maker_ppm, taker_ppm });
        let file = TermsConfig { maker_fee: Some(1), fees: fees(10, 20), ..TermsConfig::default() };
        assert_eq!(Some(file.fees()), fees(1, 20));
        let flags = TermsConfig { fees: fees(30, 40), taker_fee: Some(5), ..TermsConfig::default() };
        assert_eq!(Some(flags.over(&file).fees()), fees(30, 5));
        assert_eq!(TermsConfig::default().over(&file).fees(), file.fees());
        assert_eq!(TermsConfig::default().fees(), Fees::REGULAR);
    }

    #[test]
    fn the_peers_conventions_know_no_terms_and_margin_needs_a_wallet() {
        let wallet = TermsConfig { wallet: parse_wallet("100").ok(), ..TermsConfig::default() };
        assert!(wallet.terms(true).unwrap_err().contains("--wallet is"));
        let fees = TermsConfig { fees: Some(Fees::REGULAR), maker_fee: Some(1), ..TermsConfig::default() };
        assert_eq!(fees.terms(true), Ok(Terms::default()));
        let terms = wallet.terms(false).unwrap();
        assert_eq!((terms.margin.unwrap().leverage, terms.orders_minute), (20, 1_200));
        let lonely = TermsConfig { leverage: Some(5), ..TermsConfig::default() };
        assert!(lonely.terms(false).unwrap_err().contains("--wallet"));
    }
}
