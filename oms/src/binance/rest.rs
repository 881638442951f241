//! The REST client of the control thread: performs calls for stages and for start-up, signs them, and keeps the peace.
//!
//! Blocks. Never follows a redirect, never uses a proxy, never reads more than the cap, never shows query or headers.
//! After 429, 418 or a firewall's 403 it refuses by itself until the exchange allows requests again.
//! Clients of one address share that knowledge through a [`Peace`]: what one is told binds the others.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::order::Usage;
use optiflow_base::rest::{Auth, BODY_LEN_MAX, Method, NOT_SENT, RestCall, RestReply};
use optiflow_wire::tls::Roots;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::http::{HeaderMap, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;

use self::names::Names;
use crate::binance::sign::ApiKey;
use crate::error::OmsError;
use crate::peace::{Block, Peace};
use crate::time::ExchangeTime;

mod names;

/// Performs REST calls, one after the other.
pub struct RestClient {
    agent: ureq::Agent,
    base: String,
    names: Names,
    key: Option<Arc<ApiKey>>,
    time: ExchangeTime,
    peace: Peace,
    patience: Patience,
    /// No call takes longer.
    call_max: Duration,
    /// Its replies do not reach the room that counts: what they say of our use goes through the peace.
    announces: bool,
}

/// What came over the wire.
struct Answer {
    status: u16,
    usage: Usage,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl RestClient {
    /// A client for `base_url`, such as `https://fapi.binance.com`. Opens no connection yet.
    pub fn new(
        base_url: &str,
        roots: &Roots,
        key: Option<Arc<ApiKey>>,
        time: ExchangeTime,
    ) -> Result<RestClient, OmsError> {
        let base = base_url.trim_end_matches('/');
        let authority = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
        if !authority.is_some_and(plain) {
            return Err(OmsError::BaseUrl(base_url.to_owned()));
        }
        let names = Names::of(base).ok_or_else(|| OmsError::BaseUrl(base_url.to_owned()))?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(root_certs(roots)?)
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(USER_AGENT)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_idle_age(IDLE_AGE_MAX)
            .build();
        let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), names.clone());
        let base = base.to_owned();
        Ok(RestClient {
            agent,
            base,
            names,
            key,
            time,
            peace: Peace::new(),
            patience: Patience::default(),
            call_max: CALL_TIMEOUT,
            announces: false,
        })
    }

    /// The same client, bound by what others of this address are told, and telling them.
    #[must_use]
    pub fn sharing(self, peace: &Peace) -> RestClient {
        RestClient { peace: peace.clone(), ..self }
    }

    /// The same client, whose headers are passed on through the peace because nobody counts its replies.
    #[must_use]
    pub fn announcing(self) -> RestClient {
        RestClient { announces: true, ..self }
    }

    /// How long something of this weight should wait for the next minute.
    pub fn wait_for(&self, now: Nanos, weight: u32) -> Duration {
        self.peace.weight().wait(self.time.theirs(now), weight)
    }

    /// From now on no call takes longer than this.
    pub fn limit_calls(&mut self, longest: Duration) {
        self.call_max = longest.min(CALL_TIMEOUT);
    }

    /// Performs the call and waits for its answer; a call that may not be made is answered by ourselves.
    pub fn perform(&mut self, call: &RestCall, clock: &impl Clock) -> RestReply {
        let sent = clock.now();
        let refused = |status: u16, until: Option<Nanos>| {
            let usage = Usage { blocked_until: until, ..Usage::default() };
            RestReply { token: call.token, path: call.path, status, body: Vec::new(), sent, received: sent, usage }
        };
        if let Some(block) = self.peace.block(sent) {
            return refused(block.status, Some(block.until));
        }
        let now_ms = self.time.now_ms(sent);
        if call.is_late(now_ms) {
            return refused(NOT_SENT, None);
        }
        let Some(target) = target(call, self.key.as_deref(), now_ms) else {
            return refused(NO_KEY_STATUS, None);
        };
        self.peace.weight().spend(self.time.theirs(sent), call.weight);
        self.names.at(sent);
        let answer = self.exchange(call, &format!("{}{target}", self.base));
        let received = clock.now();
        self.patience.learn(matches!(answer, Err(Loss::TimeIsUp)));
        let Ok(mut answer) = answer else {
            self.names.doubt();
            return RestReply { received, ..refused(0, None) };
        };
        if let Some(pause) = pause(answer.status, answer.retry_after) {
            let until = received + pause;
            self.peace.keep(Block { until, status: answer.status });
            answer.usage.blocked_until = Some(until);
        }
        if let Some(used) = answer.usage.weight_minute {
            self.peace.weight().told(self.time.theirs(sent), self.time.theirs(received), used);
        }
        if self.announces {
            self.peace.tell(&Usage { asked: Some(sent), ..answer.usage });
        }
        let Answer { status, usage, body, .. } = answer;
        RestReply { token: call.token, path: call.path, status, body, sent, received, usage }
    }

    /// One request, one answer, complete or none.
    fn exchange(&self, call: &RestCall, url: &str) -> Result<Answer, Loss> {
        let mut request = Request::builder().method(call.method.name()).uri(url);
        if let (Auth::Key | Auth::Signed | Auth::SignedUntil(_), Some(key)) = (call.auth, &self.key) {
            request = request.header("X-MBX-APIKEY", key.id());
        }
        let span = Some(self.patience.of(call).min(self.call_max));
        let mut response = match call.method {
            Method::Get | Method::Delete => {
                let request = request.body(()).map_err(|_| Loss::Broken)?;
                self.agent.run(self.agent.configure_request(request).timeout_global(span).build())
            }
            Method::Post | Method::Put => {
                let request = request.body("").map_err(|_| Loss::Broken)?;
                self.agent.run(self.agent.configure_request(request).timeout_global(span).build())
            }
        }
        .map_err(|error| Loss::of(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers());
        let usage = Usage {
            weight_minute: number(headers, "x-mbx-used-weight-1m"),
            orders_ten_seconds: number(headers, "x-mbx-order-count-10s"),
            orders_minute: number(headers, "x-mbx-order-count-1m"),
            ..Usage::default()
        };
        let retry_after = number(headers, "retry-after").map(|seconds| Duration::from_secs(seconds.into()));
        let body = response.body_mut().with_config().limit(BODY_LEN_MAX as u64).read_to_vec();
        let body = body.map_err(|error| Loss::of(&error))?;
        Ok(Answer { status, usage, retry_after, body })
    }
}

/// Why there is no complete answer.
enum Loss {
    /// None came in time.
    TimeIsUp,
    /// No connection, or it broke.
    Broken,
}

impl Loss {
    fn of(error: &ureq::Error) -> Loss {
        if matches!(error, ureq::Error::Timeout(_)) { Loss::TimeIsUp } else { Loss::Broken }
    }
}

/// How long a call may take. One that may be repeated is soon given up, because a reply that was lost never comes; each
/// one that was given up lets the next take longer, so that a slow line is none that is dead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    given_up: u32,
}

impl Patience {
    /// How long this call may take.
    pub fn of(self, call: &RestCall) -> Duration {
        // One that is good for a moment only is asked about soon instead.
        if call.method == Method::Post && call.path == ORDER && call.auth == Auth::Signed {
            return CALL_TIMEOUT;
        }
        (REPEAT_TIMEOUT * 2u32.pow(self.given_up.min(PATIENCE_DOUBLINGS_MAX))).min(CALL_TIMEOUT)
    }

    /// A call was given up, or came to an end of its own.
    pub const fn learn(&mut self, given_up: bool) {
        self.given_up = if given_up { self.given_up.saturating_add(1) } else { 0 };
    }
}

/// Path and query of a call, signed with `key` at the exchange's time `now_ms` where that is needed; `None` when a key
/// is needed and there is none. Whoever performs the call, this client or a virtual world, sends exactly this.
pub fn target(call: &RestCall, key: Option<&ApiKey>, now_ms: u64) -> Option<String> {
    let mut target = call.path.to_owned();
    let query_at = target.len() + 1;
    if !call.query.is_empty() {
        target.push('?');
        target.push_str(&call.query);
    }
    match (call.auth, key) {
        (Auth::Open, _) | (Auth::Key, Some(_)) => {}
        (Auth::Key | Auth::Signed | Auth::SignedUntil(_), None) => return None,
        (Auth::Signed | Auth::SignedUntil(_), Some(key)) => {
            target.push(if call.query.is_empty() { '?' } else { '&' });
            // Writing to a String cannot fail.
            let window_ms = match call.auth {
                Auth::SignedUntil(until_ms) => until_ms.saturating_sub(now_ms),
                Auth::Open | Auth::Key | Auth::Signed => RECV_WINDOW_MS,
            };
            let _ = write!(target, "recvWindow={window_ms}&timestamp={now_ms}");
            let signature = key.sign(&target.as_bytes()[query_at..]);
            target.push_str("&signature=");
            percent_encode(&signature, &mut target);
        }
    }
    Some(target)
}

fn root_certs(roots: &Roots) -> Result<RootCerts, OmsError> {
    let path = match roots {
        Roots::WebPki => return Ok(RootCerts::WebPki),
        Roots::CaFile(path) => path,
    };
    let failed = |reason: String| OmsError::Roots { path: path.clone(), reason };
    let mut certificates = Vec::new();
    for found in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let found = found.map_err(|error| failed(error.to_string()))?;
        certificates.push(Certificate::from_der(&found).to_owned());
    }
    if certificates.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// How long to keep silent after `status`.
pub fn pause(status: u16, retry_after: Option<Duration>) -> Option<Duration> {
    let least = match status {
        429 => LIMITED_PAUSE,
        418 | 403 => BANNED_PAUSE,
        _ => return None,
    };
    // Never longer than the longest ban: a nonsensical header must not stop the clock arithmetic.
    Some(retry_after.unwrap_or(least).min(PAUSE_MAX))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Base64 has three characters that a query may not carry as they are.
fn percent_encode(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '+' => into.push_str("%2B"),
            '/' => into.push_str("%2F"),
            '=' => into.push_str("%3D"),
            plain => into.push(plain),
        }
    }
}

const USER_AGENT: &str = concat!("optiflow/", env!("CARGO_PKG_VERSION"));
/// A whole call, from connecting to the last byte of the body, at most.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// One that may be repeated, at first: every question, cancel, countdown and listen key.
const REPEAT_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Doublings of it: the longest time of a call is reached.
const PATIENCE_DOUBLINGS_MAX: u32 = 2;
/// The one call that must not be repeated: `POST` places an order.
const ORDER: &str = "/fapi/v1/order";
/// TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Idle connections are not used again after this: servers close them without a word.
const IDLE_AGE_MAX: Duration = Duration::from_secs(10);
/// Signed REST calls are good for this long, ms; they are cold, so this is the exchange's own default.
const RECV_WINDOW_MS: u64 = 5_000;
/// What we answer ourselves when a key is needed and none is configured.
const NO_KEY_STATUS: u16 = 401;
/// Silence after 429 without `Retry-After`: to the end of the minute at the latest.
const LIMITED_PAUSE: Duration = Duration::from_secs(60);
/// Silence after 418 (shortest ban) or a firewall's 403 without `Retry-After`.
const BANNED_PAUSE: Duration = Duration::from_secs(120);
/// The longest documented ban.
pub const PAUSE_MAX: Duration = Duration::from_secs(3 * 24 * 3600);

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{answer, client, server};
