//! Who asks: API keys, signatures, timestamps.
//!
//! One account with two keys: an HMAC key and an Ed25519 key. Signatures are checked over the text as it was sent (REST)
//! or over the sorted parameters (WebSocket API). Never signs anything; never shows a secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use optiflow_base::clock::Nanos;
use optiflow_base::secret::Secret;
use ring::signature::{ED25519, UnparsedPublicKey};
use ring::{digest, hmac};

use super::errors::ApiError;
use super::params::Params;

/// The keys of the one account.
pub struct Keys {
    /// Names the HMAC key.
    pub api_key: String,
    /// Its secret.
    pub api_secret: Secret,
    /// Names the Ed25519 key; may be the same name.
    pub ed25519_api_key: String,
    /// Its public half.
    pub ed25519_public_key: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, {})", self.api_key, self.ed25519_api_key)
    }
}

impl Keys {
    /// Is there such a key?
    pub(super) fn check_key(&self, api_key: Option<&str>) -> Result<(), ApiError> {
        let Some(key) = api_key.filter(|key| !key.is_empty()) else { return Err(ApiError::key_format()) };
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ApiError::key_format());
        }
        if key == self.api_key || key == self.ed25519_api_key { Ok(()) } else { Err(ApiError::unknown_key()) }
    }

    /// Is `signature` one that the key makes of `payload`?
    pub(super) fn check_signature(&self, api_key: &str, payload: &[u8], signature: &str) -> Result<(), ApiError> {
        let hmac = api_key == self.api_key && self.hmac_matches(payload, signature);
        let ed25519 = api_key == self.ed25519_api_key && self.ed25519_matches(payload, signature);
        if hmac || ed25519 { Ok(()) } else { Err(ApiError::bad_signature()) }
    }

    /// As `check_signature`, for a session: only Ed25519 keys log on.
    pub(super) fn check_logon(&self, api_key: &str, payload: &[u8], signature: &str) -> Result<(), ApiError> {
        if api_key != self.ed25519_api_key {
            return Err(ApiError::key_kind());
        }
        if self.ed25519_matches(payload, signature) {
            return Ok(());
        }
        let hmac = api_key == self.api_key && self.hmac_matches(payload, signature);
        Err(if hmac { ApiError::key_kind() } else { ApiError::bad_signature() })
    }

    fn hmac_matches(&self, payload: &[u8], signature: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.api_secret.reveal());
        unhex(signature).is_some_and(|tag| hmac::verify(&key, payload, &tag).is_ok())
    }

    fn ed25519_matches(&self, payload: &[u8], signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.ed25519_public_key);
        STANDARD.decode(signature).is_ok_and(|bytes| key.verify(payload, &bytes).is_ok())
    }
}

/// Is the request of now? `timestamp < now + 1 s` and `now − timestamp <= recvWindow`.
pub(super) fn check_timestamp(now: Nanos, params: &Params) -> Result<(), ApiError> {
    let timestamp = params.mandatory_integer("timestamp")?;
    let window = params.integer("recvWindow")?.unwrap_or(RECV_WINDOW_DEFAULT_MS);
    if window > RECV_WINDOW_MAX_MS {
        return Err(ApiError::recv_window());
    }
    let server = now.millis();
    if timestamp >= server.saturating_add(AHEAD_MAX_MS) {
        return Err(ApiError::ahead());
    }
    if server.saturating_sub(timestamp) > window { Err(ApiError::late()) } else { Ok(()) }
}

/// What a REST signature is made over: query and body as sent, one after the other, without `signature`.
pub(super) fn rest_payload(query: &str, body: &str) -> String {
    let unsigned = |text: &str| -> String {
        let pairs: Vec<&str> = text.split('&').filter(|pair| !pair.starts_with("signature=")).collect();
        pairs.join("&")
    };
    unsigned(query) + &unsigned(body)
}

/// What a WebSocket API signature is made over: every parameter but `signature`, sorted by name.
pub(super) fn frame_payload(params: &Params) -> String {
    let mut pairs: Vec<(&str, &str)> = params.pairs().filter(|(name, _)| *name != "signature").collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != digest::SHA256_OUTPUT_LEN * 2 || !text.is_ascii() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    text.as_bytes().chunks_exact(2).map(byte).collect()
}

/// `recvWindow` when none is sent.
const RECV_WINDOW_DEFAULT_MS: u64 = 5_000;
/// Largest `recvWindow`.
const RECV_WINDOW_MAX_MS: u64 = 60_000;
/// A timestamp must lie less than this ahead of the exchange.
const AHEAD_MAX_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;

    fn keys(api_key: &str, secret: &str, public: [u8; 32]) -> Keys {
        Keys {
            api_key: api_key.to_owned(),
            api_secret: Secret::new(secret.as_bytes().to_vec()),
            ed25519_api_key: api_key.to_owned(),
            ed25519_public_key: public,
        }
    }

    /// Binance's published example.
    const PUBLISHED_KEY: &str = "dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83";
    const PUBLISHED_SECRET: &str = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
    const PUBLISHED_SIGNATURE: &str = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";

    #[test]
    fn the_published_example_verifies_and_nothing_near_it_does() {
        let keys = keys(PUBLISHED_KEY, PUBLISHED_SECRET, [0; 32]);
        let payload = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000\
                       &timestamp=1591702613943";
        let query = format!("{payload}&signature={PUBLISHED_SIGNATURE}");
        assert_eq!(rest_payload(&query, ""), payload);
        let first = format!("signature={PUBLISHED_SIGNATURE}&{payload}");
        assert_eq!(rest_payload(&first, ""), payload, "the signature may stand anywhere");
        let check = |payload: &str, signature: &str| {
            keys.check_signature(PUBLISHED_KEY, payload.as_bytes(), signature).map_err(|error| error.code)
        };
        assert_eq!(check(payload, PUBLISHED_SIGNATURE), Ok(()));
        assert_eq!(check(payload, &PUBLISHED_SIGNATURE.to_uppercase()), Ok(()), "hex of any case");
        assert_eq!(check(&payload.replace("quantity=1", "quantity=2"), PUBLISHED_SIGNATURE), Err(-1022));
        for wrong in ["", "zz", "3c66", &PUBLISHED_SIGNATURE.replace('3', "4"), "ü"] {
            assert_eq!(check(payload, wrong), Err(-1022), "{wrong:?}");
        }
    }

    #[test]
    fn query_and_body_are_signed_without_anything_between_them() {
        assert_eq!(rest_payload("a=1&b=2", "c=3&signature=x"), "a=1&b=2c=3");
    }

    #[test]
    fn keys_are_told_apart_by_what_is_wrong_with_them() {
        let keys = keys("abc", "secret", [0; 32]);
        let code = |key| keys.check_key(key).map_err(|error: ApiError| (error.code, error.status));
        assert_eq!(code(Some("abc")), Ok(()));
        assert_eq!(code(None), Err((-2014, 401)));
        assert_eq!(code(Some("")), Err((-2014, 401)));
        assert_eq!(code(Some("a b")), Err((-2014, 401)));
        assert_eq!(code(Some("abcd")), Err((-2015, 401)));
    }

    #[test]
    fn timestamps_are_accepted_within_the_window_only() {
        let now = Nanos::from_millis(1_795_327_200_000);
        for (query, expected) in [
            ("timestamp=1795327200000", Ok(())),
            ("timestamp=1795327195000", Ok(())),
            ("timestamp=1795327194999", Err(-1021)),
            ("timestamp=1795327200999", Ok(())),
            ("timestamp=1795327201000", Err(-1021)),
            ("timestamp=1795327199500&recvWindow=500", Ok(())),
            ("timestamp=1795327199499&recvWindow=500", Err(-1021)),
            ("timestamp=1795327140000&recvWindow=60000", Ok(())),
            ("timestamp=1795327140000&recvWindow=60001", Err(-1131)),
            ("timestamp=18446744073709551615", Err(-1021)),
            ("timestamp=soon", Err(-1102)),
            ("", Err(-1102)),
        ] {
            let params = Params::from_form(query, "").unwrap();
            assert_eq!(check_timestamp(now, &params).map_err(|error| error.code), expected, "{query}");
        }
    }

    fn shared_vectors() -> Option<Value> {
        let shared = std::env::var_os("OPTIFLOW_SHARED").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
            |path| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path),
        );
        let text = std::fs::read_to_string(shared.join("binance/messages/signing-vectors.json")).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn every_shared_signing_vector_verifies() {
        let Some(vectors) = shared_vectors() else {
            eprintln!("skipped: no signing vectors under the shared directory");
            return;
        };
        let field = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
        let pem = field(&vectors, "ed25519PublicPem").unwrap();
        let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
        let public: [u8; 32] = der[der.len() - 32..].try_into().unwrap();
        for vector in vectors["vectors"].as_array().unwrap() {
            let key = field(vector, "apiKey").or_else(|| field(&vectors, "apiKey")).unwrap();
            let secret = field(vector, "secret").or_else(|| field(&vectors, "hmacSecret")).unwrap();
            let (payload, signature) = (field(vector, "payload").unwrap(), field(vector, "signature").unwrap());
            let keys = keys(&key, &secret, public);
            assert_eq!(keys.check_signature(&key, payload.as_bytes(), &signature), Ok(()), "{vector}");
            if let Some(query) = field(vector, "final_query") {
                assert_eq!(rest_payload(&query, ""), payload);
                let params = Params::from_form(&query, "").unwrap();
                assert_eq!(params.mandatory("signature").unwrap(), signature);
            }
            if let (Some(query), Some(body)) = (field(vector, "query"), field(vector, "body")) {
                assert_eq!(rest_payload(&query, &format!("{body}&signature={signature}")), payload);
            }
        }
    }
}
