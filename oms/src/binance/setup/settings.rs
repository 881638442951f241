//! Leverage and margin type of a symbol: read at every start, compared with what is wanted, changed only when told to.
//!
//! What was changed is read again: the exchange's word counts, not the answer to the change. Control thread, at start.

use std::fmt;
use std::fmt::Write as _;

use optiflow_base::clock::Clock;
use optiflow_base::ids::SymbolName;
use serde::Deserialize;

use super::{Asker, symbol_query};
use crate::error::OmsError;

/// How a symbol is set up in the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolSettings {
    /// Leverage.
    pub leverage: u32,
    /// Isolated instead of cross margin.
    pub isolated: bool,
}

/// How a symbol should be set up; what is `None` may be as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedSettings {
    /// Leverage.
    pub leverage: Option<u32>,
    /// Isolated instead of cross margin.
    pub isolated: Option<bool>,
    /// Change the account where it differs, instead of refusing to start.
    pub apply: bool,
}

/// What the account had, and what is in force now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledSettings {
    /// Before the session.
    pub found: SymbolSettings,
    /// From now on; differs from `found` only where a change was wanted, made and seen.
    pub in_force: SymbolSettings,
}

/// Reads how a symbol is set up and makes sure that it is as wanted.
///
/// # Errors
/// When it differs and may not be changed, when a change was refused or is not seen afterwards, or when the exchange
/// does not answer.
pub fn settle_settings<C: Clock>(
    asker: &mut Asker<'_, C>,
    name: &SymbolName,
    wanted: &WantedSettings,
) -> Result<SettledSettings, OmsError> {
    let found = read(asker, name)?;
    let goal = wanted.over(found);
    if goal == found {
        return Ok(SettledSettings { found, in_force: found });
    }
    let (symbol, goal_text) = (name.to_string(), goal.to_string());
    if !wanted.apply {
        return Err(OmsError::Settings { symbol, wanted: goal_text, found: found.to_string() });
    }
    if goal.isolated != found.isolated {
        set_isolated(asker, name, goal.isolated)?;
    }
    if goal.leverage != found.leverage {
        set_leverage(asker, name, goal.leverage)?;
    }
    let in_force = read(asker, name)?;
    if in_force == goal {
        Ok(SettledSettings { found, in_force })
    } else {
        Err(OmsError::SettingsNotApplied { symbol, wanted: goal_text, found: in_force.to_string() })
    }
}

impl WantedSettings {
    /// `found`, with what is wanted instead.
    fn over(&self, found: SymbolSettings) -> SymbolSettings {
        SymbolSettings {
            leverage: self.leverage.unwrap_or(found.leverage),
            isolated: self.isolated.unwrap_or(found.isolated),
        }
    }
}

impl fmt::Display for SymbolSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leverage {}, {} margin", self.leverage, if self.isolated { "isolated" } else { "cross" })
    }
}

/// `GET /fapi/v1/symbolConfig`.
fn read<C: Clock>(asker: &mut Asker<'_, C>, name: &SymbolName) -> Result<SymbolSettings, OmsError> {
    let rows: Vec<RawSettings> = asker.get(SETTINGS, &symbol_query(name), 5)?;
    let bad = |reason: String| OmsError::Answer { path: SETTINGS, reason };
    let row = rows.iter().find(|row| row.symbol == name.as_str()).ok_or_else(|| bad(format!("{name} is not in it")))?;
    let isolated = match row.margin_type.as_str() {
        "ISOLATED" => true,
        "CROSSED" => false,
        other => return Err(bad(format!("{name}: margin type {other:?}"))),
    };
    Ok(SymbolSettings { leverage: row.leverage, isolated })
}

/// `POST /fapi/v1/leverage`.
fn set_leverage<C: Clock>(asker: &mut Asker<'_, C>, name: &SymbolName, leverage: u32) -> Result<(), OmsError> {
    let mut query = symbol_query(name);
    // Names have at most 24 characters: it fits.
    let _ = write!(query, "&leverage={leverage}");
    asker.change(LEVERAGE, &query)
}

/// `POST /fapi/v1/marginType`; already being so is fine.
fn set_isolated<C: Clock>(asker: &mut Asker<'_, C>, name: &SymbolName, isolated: bool) -> Result<(), OmsError> {
    let mut query = symbol_query(name);
    let _ = write!(query, "&marginType={}", if isolated { "ISOLATED" } else { "CROSSED" });
    asker.change(MARGIN_TYPE, &query)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSettings {
    symbol: String,
    margin_type: String,
    leverage: u32,
}

const SETTINGS: &str = "/fapi/v1/symbolConfig";
const LEVERAGE: &str = "/fapi/v1/leverage";
const MARGIN_TYPE: &str = "/fapi/v1/marginType";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use optiflow_base::clock::{Nanos, VirtualClock};

    use super::*;
    use crate::binance::rest::{answer as say, client, server};
    use crate::binance::setup::Wait;
    use crate::time::ExchangeTime;

    /// What comes of it when the account answers like this, and what was asked, without the signed ends.
    fn settled(answers: Vec<String>, wanted: WantedSettings) -> (Result<SettledSettings, String>, Vec<String>) {
        let (base, heads) = server(answers);
        let (clock, time) = (VirtualClock::new(Nanos::from_millis(1_000)), ExchangeTime::new());
        let (mut client, mut pause) = (client(&base), |_: &Wait<'_>| true);
        let mut asker = Asker::new(&mut client, &clock, &time, Duration::from_secs(60), 7, &mut pause);
        let end = settle_settings(&mut asker, &SymbolName::from("BTCUSDT").unwrap(), &wanted);
        let line = |head: String| head.split("&recvWindow=").next().unwrap_or_default().to_owned();
        (end.map_err(|error| error.to_string()), heads.try_iter().map(line).collect())
    }

    fn shown(leverage: u32, margin: &str) -> String {
        let row = format!(r#"[{{"symbol":"BTCUSDT","marginType":"{margin}","leverage":{leverage}}}]"#);
        say("200 OK", "", &row)
    }

    const ASKED: &str = "GET /fapi/v1/symbolConfig?symbol=BTCUSDT";
    const TWENTY: SymbolSettings = SymbolSettings { leverage: 20, isolated: false };
    const FIVE: SymbolSettings = SymbolSettings { leverage: 5, isolated: true };

    #[test]
    fn what_is_not_wanted_otherwise_is_told_and_left_alone() {
        let same = Ok(SettledSettings { found: TWENTY, in_force: TWENTY });
        for wanted in [
            WantedSettings::default(),
            WantedSettings { apply: true, ..WantedSettings::default() },
            WantedSettings { leverage: Some(20), isolated: Some(false), apply: true },
        ] {
            assert_eq!(settled(vec![shown(20, "CROSSED")], wanted), (same.clone(), vec![ASKED.to_owned()]));
        }
        let odd = settled(vec![shown(20, "PORTFOLIO")], WantedSettings::default()).0.unwrap_err();
        assert!(odd.contains("PORTFOLIO"), "{odd}");
    }

    #[test]
    fn a_difference_is_refused_with_both_values_and_both_ways_out() {
        let wanted = WantedSettings { leverage: Some(5), isolated: None, apply: false };
        let (end, asked) = settled(vec![shown(20, "CROSSED")], wanted);
        let said = end.unwrap_err();
        for part in ["BTCUSDT", "leverage 5, cross", "leverage 20, cross", "at the exchange", "apply_settings = true"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(asked, [ASKED], "nothing was changed");
    }

    #[test]
    fn a_difference_that_may_be_changed_is_changed_and_seen() {
        let done = || say("200 OK", "", "{}");
        let already = || say("400 Bad Request", "", r#"{"code":-4046,"msg":"No need to change margin type."}"#);
        let wanted = WantedSettings { leverage: Some(5), isolated: Some(true), apply: true };
        let changes = [
            ASKED,
            "POST /fapi/v1/marginType?symbol=BTCUSDT&marginType=ISOLATED",
            "POST /fapi/v1/leverage?symbol=BTCUSDT&leverage=5",
            ASKED,
        ];
        for margin in [done(), already()] {
            let (end, asked) = settled(vec![shown(20, "CROSSED"), margin, done(), shown(5, "ISOLATED")], wanted);
            assert_eq!(
                (end, asked),
                (Ok(SettledSettings { found: TWENTY, in_force: FIVE }), changes.map(str::to_owned).into())
            );
        }
        let unseen = settled(vec![shown(20, "CROSSED"), done(), done(), shown(20, "ISOLATED")], wanted).0.unwrap_err();
        assert!(unseen.contains("leverage 5, isolated") && unseen.contains("leverage 20, isolated"), "{unseen}");
        let held = say(
            "400 Bad Request",
            "",
            r#"{"code":-4048,"msg":"Margin type cannot be changed if there exists position."}"#,
        );
        let refused = settled(vec![shown(20, "CROSSED"), held], wanted).0.unwrap_err();
        assert!(refused.contains("-4048") && refused.contains("exists position"), "{refused}");
    }
}
