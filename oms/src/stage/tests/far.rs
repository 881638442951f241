//! The far ends: tungstenite as a server on memory pipes, and the exchange's answers to requests and calls.

use optiflow_base::order::Usage;
use optiflow_wire::transport::memory::{Cut, MemoryDialer};
use serde_json::{Value as Json, json};
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response, ServerHandshake};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::{Message, WebSocket};

use super::world::{FarPipe, Manner, Resting, START_MS, StatusAnswer, World};
use super::*;

/// Takes the path that was asked for down.
pub struct TakePath(std::rc::Rc<std::cell::RefCell<String>>);

impl Callback for TakePath {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        *self.0.borrow_mut() = request.uri().to_string();
        Ok(response)
    }
}

/// The server's end of one socket; a new connection replaces the old one.
#[derive(Default)]
pub struct Far {
    waiting: Option<MidHandshake<ServerHandshake<FarPipe, TakePath>>>,
    socket: Option<WebSocket<FarPipe>>,
    pub path: std::rc::Rc<std::cell::RefCell<String>>,
}

impl Far {
    pub fn accept(&mut self, net: &MemoryDialer) {
        while let Some((_, pipe)) = net.accept() {
            let callback = TakePath(std::rc::Rc::clone(&self.path));
            self.socket = None;
            self.settle(tungstenite::accept_hdr(pipe, callback));
        }
        if let Some(waiting) = self.waiting.take() {
            self.settle(waiting.handshake());
        }
    }

    fn settle(&mut self, result: Result<WebSocket<FarPipe>, HandshakeError<ServerHandshake<FarPipe, TakePath>>>) {
        match result {
            Ok(socket) => self.socket = Some(socket),
            Err(HandshakeError::Interrupted(waiting)) => self.waiting = Some(waiting),
            Err(HandshakeError::Failure(tungstenite::Error::Io(_))) => {}
            Err(HandshakeError::Failure(error)) => panic!("far end: {error}"),
        }
    }

    pub fn hear(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        let Some(socket) = &mut self.socket else { return heard };
        while let Ok(message) = socket.read() {
            if let Message::Text(text) = message {
                heard.push(text.to_string());
            }
        }
        let _ = socket.flush();
        heard
    }

    pub fn say(&mut self, message: Message) {
        self.socket.as_mut().expect("the far end is connected").send(message).unwrap();
    }

    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    pub fn cut(&mut self, how: Cut) {
        self.socket.take().expect("the far end is connected").get_ref().cut(how);
    }
}

impl World {
    /// An order request arrived.
    pub fn on_request(&mut self, request: Json) {
        let params = &request["params"];
        let id = request["id"].clone();
        if request["method"] == "order.status" {
            let client = params["origClientOrderId"].as_str().unwrap().to_owned();
            self.status_asked.push(client.clone());
            let reply = match (self.status_answer, self.orders.get(&client)) {
                // Most tests are about REST: a method that is not known here sends the question there at once.
                (StatusAnswer::Useless, _) => refused(&id, -1000, "An unknown error occurred."),
                (StatusAnswer::Mute, _) => return,
                (StatusAnswer::True, Some(order)) => accepted(&id, order),
                (StatusAnswer::True, None) => refused(&id, -2013, "Order does not exist."),
            };
            self.reply(reply);
            return;
        }
        match (request["method"].as_str().unwrap(), self.manner) {
            (_, Manner::Keep | Manner::Lose) => {}
            ("session.logon", _) => self.reply(json!({"id": id, "status": 200, "result": {"apiKey": "theApiKey"}})),
            ("order.place", manner) => {
                let client = params["newClientOrderId"].as_str().unwrap().to_owned();
                let resting = self.rest_order(&client);
                if manner == Manner::Answer {
                    self.reply(accepted(&id, &resting));
                    if self.stream_tells && self.user_far.is_connected() {
                        let event = self.order_event(&client, "NEW", "NEW", "0", None);
                        self.tell(&event);
                    }
                }
            }
            ("order.cancel", manner) => {
                let client = params["origClientOrderId"].as_str().unwrap().to_owned();
                let live = self.orders.get_mut(&client).filter(|order| is_open(order.status));
                let reply = match live {
                    Some(order) => {
                        order.status = "CANCELED";
                        accepted(&id, order)
                    }
                    None => refused(&id, -2011, "Unknown order sent."),
                };
                if manner == Manner::Answer {
                    self.reply(reply);
                }
            }
            ("order.modify", manner) => {
                let text = |name: &str| params[name].as_str().unwrap().to_owned();
                let (client, price, qty) = (text("origClientOrderId"), text("price"), text("quantity"));
                let live = self.orders.get(&client).is_some_and(|order| is_open(order.status));
                if live {
                    self.amend(&client, &price, &qty);
                }
                if manner == Manner::Answer {
                    let done = live.then(|| accepted(&id, &self.orders[&client]));
                    self.reply(done.unwrap_or_else(|| refused(&id, -2013, "Order does not exist.")));
                }
                if live && self.stream_tells && manner == Manner::Answer {
                    let event = self.amendment(&client);
                    self.tell(&event);
                }
            }
            (other, _) => panic!("unexpected method {other}"),
        }
        if self.via_spare { &mut self.spare_requests } else { &mut self.requests }.push(request);
    }

    /// Puts an order on the far book.
    pub fn rest_order(&mut self, client: &str) -> Resting {
        self.rest_order_in("BTCUSDT", client)
    }

    pub fn rest_order_in(&mut self, symbol: &'static str, client: &str) -> Resting {
        self.next_id += 1;
        let (client_id, executed) = (client.to_owned(), "0".to_owned());
        let (price, qty, updated) = ("83000".to_owned(), "0.01".to_owned(), START_MS);
        let (id, status) = (self.next_id, "NEW");
        let resting = Resting { id, symbol, client: client_id, status, executed, price, qty, updated };
        self.orders.insert(client.to_owned(), resting.clone());
        resting
    }

    pub fn set(&mut self, client: &str, status: &'static str, executed: &str) {
        let order = self.orders.get_mut(client).unwrap();
        (order.status, order.executed) = (status, executed.to_owned());
    }

    /// The far book gives an order other terms, now.
    pub fn amend(&mut self, client: &str, price: &str, qty: &str) {
        let now = self.now().millis();
        let order = self.orders.get_mut(client).unwrap();
        (order.price, order.qty, order.updated) = (price.to_owned(), qty.to_owned(), now);
    }

    pub fn reply(&mut self, reply: Json) {
        let far = if self.via_spare { &mut self.spare_far } else { &mut self.order_far };
        far.say(Message::text(reply.to_string()));
    }

    /// Do the lists leave the order out?
    fn hides(&self, order: &Resting) -> bool {
        self.unlisted.contains(&order.client)
    }

    /// A REST call arrived; it is answered at once.
    pub fn on_call(&mut self, call: &RestCall) {
        self.asked.push(format!("{} {} {}", call.method.name(), call.path, call.query));
        let scripted = self.scripted.get_mut(call.path).and_then(|answers| answers.pop_front());
        let (status, body) = match scripted {
            Some(answer) => answer,
            None if self.rest_is_down => (0, String::new()),
            None => self.answer(call),
        };
        let now = self.now();
        let (token, path) = (call.token, call.path);
        let reply =
            RestReply { token, path, status, body: body.into(), sent: now, received: now, usage: Usage::default() };
        self.replies.push(reply).unwrap();
    }

    fn answer(&mut self, call: &RestCall) -> (u16, String) {
        let param = |name: &str| {
            let find = |pair: &str| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
            call.query.split('&').find_map(find)
        };
        let found = param("origClientOrderId").and_then(|client| self.orders.get(&client).cloned());
        let body = match (call.method.name(), call.path) {
            ("GET", "/fapi/v1/time") => json!({"serverTime": self.now().millis()}),
            ("POST" | "PUT", "/fapi/v1/listenKey") => json!({"listenKey": self.listen_key}),
            ("GET", "/fapi/v1/openOrders") => {
                let symbol = param("symbol");
                let asked = |order: &&Resting| symbol.as_ref().is_none_or(|symbol| symbol == order.symbol);
                let open = self
                    .orders
                    .values()
                    .filter(|order| is_open(order.status))
                    .filter(asked)
                    .filter(|order| !self.hides(order));
                open.map(shown).collect()
            }
            ("GET", "/fapi/v1/allOrders") => {
                let from: u64 = param("orderId").map_or(0, |id| id.parse().unwrap());
                self.orders.values().filter(|order| order.id >= from && !self.hides(order)).map(shown).collect()
            }
            ("GET", "/fapi/v1/order") => match found {
                Some(order) => shown(&order),
                None => return error(-2013, "Order does not exist."),
            },
            ("POST", "/fapi/v1/order") => {
                let client = param("newClientOrderId").unwrap();
                if self.orders.contains_key(&client) {
                    return error(-4116, "ClientOrderId is duplicated.");
                }
                shown(&self.rest_order(&client))
            }
            ("DELETE", "/fapi/v1/order") => match found.filter(|order| is_open(order.status)) {
                Some(order) => {
                    self.orders.get_mut(&order.client).unwrap().status = "CANCELED";
                    shown(&self.orders[&order.client])
                }
                None => return error(-2011, "Unknown order sent."),
            },
            ("DELETE", "/fapi/v1/allOpenOrders") => {
                for order in self.orders.values_mut().filter(|order| is_open(order.status)) {
                    order.status = "CANCELED";
                }
                json!({"code": 200, "msg": "done"})
            }
            ("GET", "/fapi/v1/userTrades") => {
                let from: u64 = param("fromId").map_or(0, |id| id.parse().unwrap());
                let order: Option<u64> = param("orderId").map(|id| id.parse().unwrap());
                let matches = |row: &&Json| {
                    row["id"].as_u64() >= Some(from) && (order.is_none() || row["orderId"].as_u64() == order)
                };
                let mut rows: Vec<Json> = self.trades.iter().filter(matches).cloned().collect();
                let limit: usize = param("limit").unwrap().parse().unwrap();
                // Without a place to begin at, the newest.
                if param("fromId").is_some() || param("startTime").is_some() {
                    rows.truncate(limit);
                } else {
                    rows.drain(..rows.len().saturating_sub(limit));
                }
                rows.into()
            }
            ("GET", "/fapi/v3/positionRisk") => json!([{"symbol": "BTCUSDT", "positionSide": "BOTH",
                "positionAmt": self.position, "entryPrice": "83000"}]),
            ("POST", "/fapi/v1/countdownCancelAll") => {
                let millis = param("countdownTime").unwrap();
                self.countdown_ms = millis.parse().unwrap();
                json!({"symbol": "BTCUSDT", "countdownTime": millis})
            }
            ("GET", "/fapi/v3/balance") => json!([{"asset": "USDT", "balance": "10000"}]),
            other => panic!("unexpected call {other:?}"),
        };
        (200, body.to_string())
    }
}

pub fn accepted(id: &Json, order: &Resting) -> Json {
    json!({"id": id, "status": 200, "result": shown(order), "rateLimits": [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 1}]})
}

pub fn refused(id: &Json, code: i32, msg: &str) -> Json {
    json!({"id": id, "status": 400, "error": {"code": code, "msg": msg}})
}

pub fn error(code: i32, msg: &str) -> (u16, String) {
    (400, json!({"code": code, "msg": msg}).to_string())
}

pub fn shown(order: &Resting) -> Json {
    json!({"orderId": order.id, "symbol": order.symbol, "status": order.status, "clientOrderId": order.client,
        "executedQty": order.executed, "price": order.price, "origQty": order.qty, "updateTime": order.updated,
        "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "reduceOnly": false, "time": START_MS})
}

fn is_open(status: &str) -> bool {
    matches!(status, "NEW" | "PARTIALLY_FILLED")
}
