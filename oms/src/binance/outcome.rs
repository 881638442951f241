//! What an answer means: accepted, refused or unknown; one table from (transport, HTTP status, code, text).
//!
//! Total, and `Unknown` by default: only what is documented to have no effect is a refusal, and 5xx answers are told
//! apart by their body, not by their status. Codes and reactions: fact sheet §7 and §9.
//! Pure; any thread.

/// Did the request take effect?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did, or things already are as asked.
    Accepted,
    /// It did not.
    Refused,
    /// Nobody knows: exposure until proven otherwise.
    Unknown,
}

/// What an error code says beyond the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing more.
    Plain,
    /// Our clock is off: measure it again.
    Clock,
    /// Key, signature, permission or address is not accepted: a person must act.
    Key,
    /// The account cannot trade as it is: a person must act.
    Account,
    /// Too many requests or orders: wait.
    Limit,
    /// The order's own terms ended it at once (post-only would take, FOK could not fill): a normal end, not a refusal.
    Lapsed,
    /// The exchange takes no order that would increase a position: pause those, exits go on.
    HaltIncrease,
    /// Position or open orders are not there what they are here: compare everything.
    Disagreement,
    /// The exchange does not know the order (any more, or yet).
    NotFound,
    /// The client order id is taken: ids are used once, so an earlier copy of this very request was accepted.
    IdTaken,
    /// The listen key has expired.
    ListenKey,
}

/// The outcome of a request that was answered with `status` (0: not answered), `code` and `text`.
pub fn classify(status: u16, code: Option<i32>, text: &str) -> Outcome {
    match status {
        200..=299 => Outcome::Accepted,
        500..=599 => classify_server_error(code, text),
        // Never reached the engine: bad key, firewall, banned, too many, not from there.
        401 | 403 | 418 | 429 | 451 => Outcome::Refused,
        400..=499 if status != 408 && status != 409 => code.map_or(Outcome::Unknown, |code| by_code(code).0),
        _ => Outcome::Unknown,
    }
}

/// What `code` asks for.
pub fn meaning(code: i32) -> Meaning {
    by_code(code).1
}

/// Is a refusal with this code one that the same order meets again tomorrow? Malformed or unsupported requests, and keys and
/// accounts that are not let in: a person must act.
pub fn is_lasting(code: i32) -> bool {
    let malformed =
        matches!(code, -1106..=-1100 | -1112..=-1111 | -1118..=-1114 | -1120 | -1128..=-1127 | -1130 | -4120);
    malformed || meaning(code) == Meaning::Key || matches!(code, -4061..=-4060 | -4109)
}

fn classify_server_error(code: Option<i32>, text: &str) -> Outcome {
    let documented_failure = match code {
        Some(-1008) => true,
        Some(-1001) => text.starts_with("Internal error; unable to process your request"),
        None => text.trim() == "Service Unavailable.",
        Some(_) => false,
    };
    if documented_failure { Outcome::Refused } else { Outcome::Unknown }
}

/// The table of codes. A code that is not here is unknown in outcome and plain in meaning.
const fn by_code(code: i32) -> (Outcome, Meaning) {
    use Outcome::{Accepted, Refused, Unknown};
    match code {
        // The exchange itself does not know.
        -1000 | -1001 | -1006 | -1007 | -2012 | -4083 => (Unknown, Meaning::Plain),
        // This copy was refused and an earlier one accepted: what became of that is to be asked.
        -4116 => (Unknown, Meaning::IdTaken),
        // Things already are as asked.
        -4046 | -4059 | -5027 => (Accepted, Meaning::Plain),
        // The timestamp fell outside the window, at the door or in the engine.
        -1021 | -5028 => (Refused, Meaning::Clock),
        // Credentials.
        -1002 | -1011 | -1022 | -1099 | -2014 | -2015 | -2017 => (Refused, Meaning::Key),
        // The account: liquidation, wrong position mode, no permission, inactive, cooling off.
        -2023 | -4060 | -4061 | -4087 | -4088 | -4109 | -4192 => (Refused, Meaning::Account),
        // Limits.
        -1003 | -1015 => (Refused, Meaning::Limit),
        // Orders that are not there.
        -2011 | -2013 => (Refused, Meaning::NotFound),
        -1125 => (Refused, Meaning::ListenKey),
        // Throttled, malformed, unsupported.
        -1008 | -1010 | -1013 | -1014 | -1020 => (Refused, Meaning::Plain),
        -1106..=-1100 | -1130 | -1111 | -1112 | -1118..=-1114 => (Refused, Meaning::Plain),
        -1120 | -1128..=-1127 => (Refused, Meaning::Plain),
        // Reduce-only by rules, risk control or leverage; symbol or service closed.
        -1016 | -1122..=-1121 | -2028..=-2027 | -4107..=-4105 | -4141..=-4140 | -4189 | -4401..=-4400 => {
            (Refused, Meaning::HaltIncrease)
        }
        // What we hold or have open is not what the order took for granted.
        -2022 | -2025..=-2024 => (Refused, Meaning::Disagreement),
        // Post-only that would take, FOK that could not fill.
        -5022..=-5021 => (Refused, Meaning::Lapsed),
        // Business refusals of an order.
        -2010 | -2021..=-2018 | -2026 => (Refused, Meaning::Plain),
        -4016..=-4000 | -4021 | -4024..=-4023 | -4028 => (Refused, Meaning::Plain),
        -4045..=-4044 | -4055..=-4047 | -4062 | -4068..=-4067 | -4082 => (Refused, Meaning::Plain),
        -4104 | -4118..=-4117 | -4120 | -4131 | -4139..=-4137 | -4142 => (Refused, Meaning::Plain),
        -4161 | -4164 | -4166 | -4184..=-4183 | -4211..=-4202 => (Refused, Meaning::Plain),
        -4403..=-4402 | -4531 => (Refused, Meaning::Plain),
        -5026..=-5024 | -5029 | -5041..=-5037 | -5043 => (Refused, Meaning::Plain),
        _ => (Unknown, Meaning::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::samples;

    /// Every code of the fact sheet's table, by outcome.
    const UNKNOWN: &[i32] = &[-1000, -1001, -1006, -1007, -2012, -4083, -4116];
    const ACCEPTED: &[i32] = &[-4046, -4059, -5027];
    const REFUSED: &[i32] = &[
        -1002, -1003, -1008, -1010, -1011, -1013, -1014, -1015, -1016, -1020, -1021, -1022, -1099, -1100, -1101, -1102,
        -1103, -1104, -1105, -1106, -1111, -1112, -1114, -1115, -1116, -1117, -1118, -1120, -1121, -1122, -1125, -1127,
        -1128, -1130, -2010, -2011, -2013, -2014, -2015, -2017, -2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025,
        -2026, -2027, -2028, -4000, -4001, -4002, -4003, -4004, -4005, -4006, -4007, -4008, -4009, -4010, -4011, -4012,
        -4013, -4014, -4015, -4016, -4021, -4023, -4024, -4028, -4044, -4045, -4047, -4048, -4049, -4050, -4051, -4052,
        -4053, -4054, -4055, -4060, -4061, -4062, -4067, -4068, -4082, -4087, -4088, -4104, -4105, -4106, -4107, -4109,
        -4117, -4118, -4120, -4131, -4137, -4138, -4139, -4140, -4141, -4142, -4161, -4164, -4166, -4183, -4184, -4189,
        -4192, -4202, -4203, -4204, -4205, -4206, -4207, -4208, -4209, -4210, -4211, -4400, -4401, -4402, -4403, -4531,
        -5021, -5022, -5024, -5025, -5026, -5028, -5029, -5037, -5038, -5039, -5040, -5041, -5043,
    ];

    #[test]
    fn every_documented_code_has_its_outcome() {
        for (codes, outcome) in
            [(UNKNOWN, Outcome::Unknown), (ACCEPTED, Outcome::Accepted), (REFUSED, Outcome::Refused)]
        {
            for &code in codes {
                assert_eq!(classify(400, Some(code), ""), outcome, "{code}");
            }
        }
    }

    /// The tables of the fact sheet, read as they stand: a code that is added there must be decided here.
    #[test]
    fn every_code_of_the_fact_sheet_is_decided() {
        let Some(sheet) = samples::bytes("binance/binance-usdm.md") else { return };
        let sheet = String::from_utf8(sheet).unwrap().replace('\u{2011}', "-");
        let rows = sheet.split("## 9. Error codes").nth(1).unwrap().split("\n## 10.").next().unwrap();
        let codes = codes_of(rows);
        assert!(codes.len() > 130, "{}", codes.len());
        for code in codes {
            let decided = [UNKNOWN, ACCEPTED, REFUSED].iter().filter(|codes| codes.contains(&code)).count();
            assert_eq!(decided, 1, "{code}");
        }
    }

    /// The codes in the first column of a table: single ones, lists, and ranges such as `-4000..-4013`.
    fn codes_of(table: &str) -> std::collections::BTreeSet<i32> {
        let mut codes = std::collections::BTreeSet::new();
        for row in table.lines().filter(|row| row.starts_with("| -")) {
            let column = row.split('|').nth(1).unwrap();
            for item in column.split([',', '/', ' ']).filter(|item| !item.is_empty()) {
                let (from, to) = item.split_once("..").unwrap_or((item, item));
                let number = |text: &str| text.parse::<i32>().unwrap_or_else(|error| panic!("{item}: {error}"));
                codes.extend(number(to)..=number(from));
            }
        }
        codes
    }

    #[test]
    fn whatever_is_not_documented_is_unknown() {
        for code in -10_000..100 {
            if ![UNKNOWN, ACCEPTED, REFUSED].iter().any(|codes| codes.contains(&code)) {
                assert_eq!(classify(400, Some(code), ""), Outcome::Unknown, "{code}");
            }
        }
        assert_eq!(classify(0, None, ""), Outcome::Unknown, "no answer");
        assert_eq!(classify(408, Some(-1007), ""), Outcome::Unknown, "backend timeout");
        assert_eq!(classify(409, Some(-2010), ""), Outcome::Unknown, "partial success");
        assert_eq!(classify(400, None, "<html>"), Outcome::Unknown, "a body without a code");
        for status in (0..1000).filter(|s| !(200..500).contains(s)) {
            assert_eq!(classify(status, Some(-2010), "rejected"), Outcome::Unknown, "HTTP {status}");
        }
    }

    #[test]
    fn server_errors_are_told_apart_by_their_text() {
        let table = [
            (Some(-1000), "Unknown error, please check your request or try again later.", Outcome::Unknown),
            (None, "Service Unavailable.", Outcome::Refused),
            (None, "Service Unavailable.\n", Outcome::Refused),
            (None, "", Outcome::Unknown),
            (None, "<html>502</html>", Outcome::Unknown),
            (Some(-1001), "Internal error; unable to process your request. Please try again.", Outcome::Refused),
            (Some(-1001), "Disconnected.", Outcome::Unknown),
            (Some(-1008), "whatever it says", Outcome::Refused),
            (Some(-1007), "Timeout waiting for response from backend server.", Outcome::Unknown),
        ];
        for (code, text, outcome) in table {
            assert_eq!(classify(503, code, text), outcome, "{code:?} {text}");
        }
    }

    #[test]
    fn codes_say_what_to_do() {
        for (code, expected) in [
            (-1021, Meaning::Clock),
            (-5028, Meaning::Clock),
            (-2015, Meaning::Key),
            (-1022, Meaning::Key),
            (-4061, Meaning::Account),
            (-1015, Meaning::Limit),
            (-2013, Meaning::NotFound),
            (-2011, Meaning::NotFound),
            (-4116, Meaning::IdTaken),
            (-1125, Meaning::ListenKey),
            (-2019, Meaning::Plain),
            (1, Meaning::Plain),
            (-5022, Meaning::Lapsed),
            (-5021, Meaning::Lapsed),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
        for code in [-1016, -1121, -1122, -2027, -2028, -4105, -4106, -4107, -4140, -4141, -4189, -4400, -4401] {
            assert_eq!(meaning(code), Meaning::HaltIncrease, "{code}");
        }
        for code in [-2022, -2024, -2025] {
            assert_eq!(meaning(code), Meaning::Disagreement, "{code}");
        }
    }

    #[test]
    fn only_what_waiting_cannot_heal_is_lasting() {
        for code in [-1102, -1111, -1116, -4120, -2014, -2015, -1022, -4061] {
            assert!(is_lasting(code), "{code}");
        }
        for code in [-2019, -4164, -5022, -2022, -1008, -1015, -1003, -4131, -2027, -1021, -4192, 0, 1, i32::MIN] {
            assert!(!is_lasting(code), "{code}");
        }
        assert!(UNKNOWN.iter().chain(ACCEPTED).all(|code| !is_lasting(*code)));
    }

    #[test]
    fn sample_errors_are_classified() {
        let Some(index) = samples::message("rest-errors.index.json") else { return };
        let index: serde_json::Value = serde_json::from_str(&index).unwrap();
        for entry in index.as_array().unwrap() {
            let status = entry["http_status"].as_u64().unwrap() as u16;
            let body = entry["file"].as_str().and_then(samples::message).unwrap_or_default();
            let error = crate::binance::truth::error(body.as_bytes());
            let expected = match (entry["file"].as_str(), error.code) {
                (Some("rest-error-1000.json" | "rest-error-1007.json" | "rest-error-4116.json"), _) => Outcome::Unknown,
                (_, Some(code)) if ACCEPTED.contains(&code) => Outcome::Accepted,
                _ => Outcome::Refused,
            };
            assert_eq!(classify(status, error.code, &error.text), expected, "{entry}");
        }
    }
}
