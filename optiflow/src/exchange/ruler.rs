//! How fast clients react, measured from outside: from the write of a market tick to the arrival of an order.
//!
//! A tick is a `bookTicker` or `depthUpdate` of a new update id; its time is taken right before the system call that
//! writes its first frame to any connection of the client. An order is a request to place or modify one; its time is taken
//! right after the system call that read its last bytes. So a reaction holds the kernel on the way to the client, the
//! client, the kernel on the way back, and the moment until this thread looks; it does not hold our own work before the
//! write or after the read. The tick written last before an order caused it; several orders to one tick count once.
//! Who a client is: the `User-Agent` of its connections and the letters that its client order ids begin with. Decides
//! nothing. The exchange's thread.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use optiflow_base::clock::Nanos;

/// Ticks told and orders heard.
#[derive(Debug, Default)]
pub struct Ruler {
    /// What each user agent was told.
    told: BTreeMap<String, Told>,
    /// What anybody was told: for orders of an agent that listens under another name.
    anybody: Told,
    clients: BTreeMap<(String, String), Client>,
}

/// The last two ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    last: Option<Tick>,
    before: Option<Tick>,
}

#[derive(Clone, Copy, Debug)]
struct Tick {
    id: u64,
    at: Nanos,
}

#[derive(Debug)]
struct Client {
    orders: u64,
    /// The tick that was answered last.
    answered: Option<u64>,
    reactions: Histogram<u64>,
}

/// How fast a client reacted.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// Letters that its client order ids begin with; `-` when they begin otherwise.
    pub client: String,
    /// Its `User-Agent`; `-` without one.
    pub agent: String,
    /// Orders placed or modified, those that were no first reaction included.
    pub orders: u64,
    /// Reaction times, ns.
    pub reactions: Histogram<u64>,
}

impl Ruler {
    /// The tick that a frame tells, by its update id.
    pub fn tick_of(frame: &str) -> Option<u64> {
        let is_tick = frame.contains("\"e\":\"bookTicker\"") || frame.contains("\"e\":\"depthUpdate\"");
        let (_, rest) = frame.split_once("\"u\":").filter(|_| is_tick)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// A tick was written to a connection of `agent`.
    pub fn told(&mut self, agent: &str, id: u64, at: Nanos) {
        self.anybody.tell(id, at);
        if let Some(told) = self.told.get_mut(agent) {
            told.tell(id, at);
        } else if self.told.len() < CLIENTS_MAX {
            self.told.entry(agent.to_owned()).or_default().tell(id, at);
        }
    }

    /// A frame of the WebSocket API arrived.
    pub fn frame(&mut self, agent: &str, frame: &str, at: Nanos) {
        if frame.contains("\"order.place\"") || frame.contains("\"order.modify\"") {
            self.order(agent, client_of(frame, "lientOrderId\"", &[':', ' ', '"']), at);
        }
    }

    /// An HTTP request arrived.
    pub fn request(&mut self, agent: &str, method: &str, path: &str, params: &str, at: Nanos) {
        if matches!(method, "POST" | "PUT") && matches!(path, "/fapi/v1/order" | "/fapi/v1/batchOrders") {
            self.order(agent, client_of(params, "lientOrderId", &['=']), at);
        }
    }

    /// The report, by client.
    pub fn report(&self) -> Vec<Reaction> {
        let row = |((agent, client), known): (&(String, String), &Client)| Reaction {
            client: client.clone(),
            agent: agent.clone(),
            orders: known.orders,
            reactions: known.reactions.clone(),
        };
        self.clients.iter().map(row).collect()
    }

    fn order(&mut self, agent: &str, client: &str, at: Nanos) {
        let told = self.told.get(agent).unwrap_or(&self.anybody);
        let tick = told.last.filter(|tick| tick.at <= at).or(told.before.filter(|tick| tick.at <= at));
        let key = (agent.to_owned(), client.to_owned());
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&key) {
            return;
        }
        let client = self.clients.entry(key).or_insert_with(Client::new);
        client.orders += 1;
        let Some(tick) = tick.filter(|tick| client.answered != Some(tick.id)) else { return };
        client.answered = Some(tick.id);
        client.reactions.saturating_record(at.since(tick.at).max(1));
    }
}

impl Told {
    fn tell(&mut self, id: u64, at: Nanos) {
        if self.last.is_none_or(|last| last.id < id) {
            self.before = self.last.replace(Tick { id, at });
        }
    }
}

impl Client {
    fn new() -> Client {
        Client { orders: 0, answered: None, reactions: histogram() }
    }
}

impl Reaction {
    /// As the histogram tools read it: values in µs by percentile.
    pub fn hgrm(&self) -> String {
        let us = |ns: f64| ns / 1_000.0;
        let mut text = format!(
            "# client {}, user agent {}, {} orders; reaction time in microseconds\n\
             {:>12} {:>14} {:>10} {:>14}\n\n",
            self.client, self.agent, self.orders, "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        );
        let mut total = 0;
        for step in self.reactions.iter_quantiles(TICKS_PER_HALF) {
            total += step.count_since_last_iteration();
            let (value, quantile) = (us(step.value_iterated_to() as f64), step.quantile_iterated_to());
            text += &format!("{value:12.3} {quantile:14.12} {total:10}");
            text += &if quantile < 1.0 { format!(" {:14.2}\n", 1.0 / (1.0 - quantile)) } else { "\n".to_owned() };
        }
        let (mean, deviation) = (us(self.reactions.mean()), us(self.reactions.stdev()));
        let (max, count) = (us(self.reactions.max() as f64), self.reactions.len());
        text += &format!("#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n");
        text += &format!("#[Max     = {max:12.3}, Total count    = {count:12}]\n");
        text += &format!("#[Buckets = {:12}, SubBuckets     = {:12}]\n", self.reactions.buckets(), SUB_BUCKETS);
        text
    }

    /// The value at a quantile, µs.
    pub fn micros_at(&self, quantile: f64) -> f64 {
        self.reactions.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// The letters that a client order id begins with.
fn client_of<'a>(text: &'a str, key: &str, between: &[char]) -> &'a str {
    let Some((_, rest)) = text.split_once(key) else { return "-" };
    let id = rest.trim_start_matches(between);
    let letters = id.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(id.len()).min(CLIENT_LEN_MAX);
    if letters == 0 { "-" } else { &id[..letters] }
}

/// Up to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, 60_000_000_000, DIGITS) {
        Ok(histogram) => histogram,
        Err(error) => panic!("the bounds are constants that fit: {error}"),
    }
}

/// Significant digits, and the sub-buckets that they take.
const DIGITS: u8 = 3;
const SUB_BUCKETS: u32 = 2_048;
/// Lines of a table for each halving of what is left above.
const TICKS_PER_HALF: u32 = 5;
/// Clients that are told apart; the orders of more are not measured.
const CLIENTS_MAX: usize = 64;
/// Letters of a client's name.
const CLIENT_LEN_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = r#"{"id":1,"method":"order.place","params":{"newClientOrderId":"floor-7","symbol":"BTCUSDT"}}"#;

    fn us(micros: u64) -> Nanos {
        Nanos(micros * 1_000)
    }

    fn spans(ruler: &Ruler, client: &str) -> Vec<u64> {
        let report = ruler.report();
        let reaction = report.iter().find(|reaction| reaction.client == client).unwrap();
        reaction.reactions.iter_recorded().map(|step| step.value_iterated_to() / 1_000).collect()
    }

    #[test]
    fn ticks_are_told_by_their_update_id() {
        for (frame, expected) in [
            (r#"{"e":"bookTicker","u":117,"s":"BTCUSDT"}"#, Some(117)),
            (r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1,"U":5,"u":9,"pu":4}}"#, Some(9)),
            (r#"{"e":"trade","u":117}"#, None),
            (r#"{"result":null,"id":1}"#, None),
        ] {
            assert_eq!(Ruler::tick_of(frame), expected, "{frame}");
        }
    }

    #[test]
    fn the_tick_written_last_before_an_order_caused_it_and_counts_once() {
        let mut ruler = Ruler::default();
        ruler.told("a", 1, us(100));
        ruler.told("a", 1, us(105));
        ruler.frame("a", PLACE, us(130));
        ruler.frame("a", PLACE, us(140));
        ruler.told("a", 2, us(200));
        ruler.frame("a", PLACE, us(190));
        ruler.told("a", 3, us(300));
        ruler.frame("a", PLACE, us(350));
        assert_eq!(spans(&ruler, "floor"), [30, 50], "an order read before the tick is not its consequence");
        assert_eq!(ruler.report()[0].orders, 4);
    }

    #[test]
    fn what_one_client_was_told_does_not_cause_the_orders_of_another() {
        let mut ruler = Ruler::default();
        ruler.told("slow", 1, us(100));
        ruler.told("quick", 1, us(150));
        ruler.frame("slow", PLACE, us(160));
        ruler.frame("quick", &PLACE.replace("floor-7", "of-0001"), us(170));
        ruler.request("script", "POST", "/fapi/v1/order", "symbol=BTCUSDT&newClientOrderId=x-1", us(180));
        assert_eq!((spans(&ruler, "floor"), spans(&ruler, "of")), (vec![60], vec![20]));
        assert_eq!(spans(&ruler, "x"), [80], "who never listened is measured from what anybody was told first");
    }

    #[test]
    fn only_orders_are_reactions() {
        let mut ruler = Ruler::default();
        ruler.told("a", 1, us(100));
        ruler.frame("a", &PLACE.replace("order.place", "order.cancel"), us(120));
        ruler.frame("a", &PLACE.replace("order.place", "algoOrder.place"), us(120));
        ruler.request("a", "DELETE", "/fapi/v1/order", "", us(120));
        ruler.request("a", "POST", "/fapi/v1/listenKey", "", us(120));
        assert!(ruler.report().is_empty());
        ruler.frame("a", &PLACE.replace("newClientOrderId", "other"), us(120));
        assert_eq!(ruler.report()[0].client, "-");
    }

    #[test]
    fn the_table_is_the_one_that_histogram_tools_read() {
        let mut ruler = Ruler::default();
        for id in 1..=1_000 {
            ruler.told("a", id, us(id * 1_000));
            ruler.frame("a", PLACE, us(id * 1_000 + id));
        }
        let report = ruler.report();
        assert_eq!((report[0].micros_at(0.5).round(), report[0].micros_at(0.99).round()), (500.0, 990.0));
        let table = report[0].hgrm();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("# client floor, user agent a, 1000 orders"));
        assert_eq!(lines[1], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[2], "");
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        let words: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(words[1..], ["1.000000000000", "1000"]);
        assert!(
            lines.iter().any(|line| line.starts_with("#[Max     =") && line.contains("Total count    =         1000]"))
        );
        let counts: Vec<u64> = lines[3..]
            .iter()
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().nth(2).unwrap().parse().unwrap())
            .collect();
        assert!(counts.is_sorted(), "counts add up: {counts:?}");
    }
}
