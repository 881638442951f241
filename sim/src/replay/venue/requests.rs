//! Requests of ours as they arrive: new orders, cancels, modifications, and whether an order takes, rests or expires.
//!
//! Never looks at a row; what an order takes is in `taking`, what it must pass in `admission`.

use super::super::links::Links;
use super::super::orders::{Image, OrderKind, Reason, Request, Status, Tells, TimeInForce, Verb};
use super::super::queue::QueuePlace;
use super::super::{index_of, key_of};
use super::Venue;
use super::own::Resting;

impl Venue {
    /// Handles a request that arrives at `now`.
    pub fn request(&mut self, request: &Request, now: i64, links: &mut Links) {
        match request.verb {
            Verb::New => {
                let mut image = request.image;
                match self.admit(&mut image, now) {
                    Ok(()) => self.accept(image, now, links),
                    Err(reason) => self.reject(request, reason, now, links),
                }
            }
            Verb::Cancel => match self.take(request.image.id) {
                Some(order) => {
                    let image = Image { status: Status::Canceled, exchange_ns: now, ..order.image };
                    links.answer(now, image, Tells::State);
                }
                None => self.reject(request, Reason::None, now, links),
            },
            Verb::Modify => self.modify(request, now, links),
        }
        self.end_useless(now, links);
    }

    fn reject(&self, request: &Request, reason: Reason, now: i64, links: &mut Links) {
        links.explain(now, Image { exchange_ns: now, ..request.image }, Tells::Rejected, reason);
    }

    fn take(&mut self, id: u64) -> Option<Resting> {
        let order = self.own.iter_mut().find_map(|own| own.take(id))?;
        self.reducing -= usize::from(order.image.reduce_only);
        Some(order)
    }

    /// The new quantity is the whole order's: what was executed counts towards it. The exchange queues every changed
    /// order again, and refuses to change nothing; the peer lets a smaller one keep its place.
    fn modify(&mut self, request: &Request, now: i64, links: &mut Links) {
        let mut wanted = request.image;
        let Some(old) = self.own.iter().find_map(|own| own.get(wanted.id)).map(|order| order.image) else {
            return self.reject(request, Reason::None, now, links);
        };
        if let Err(reason) = self.admit_change(&mut wanted, &old, now) {
            return self.reject(request, reason, now, links);
        }
        if !self.rules.compatible && (wanted.tick, wanted.qty) == (old.tick, old.qty) {
            return self.reject(request, Reason::None, now, links);
        }
        let leaves = wanted.qty - old.executed();
        let grows = wanted.qty > old.leaves;
        let status = if old.executed() > 0 { Status::PartiallyFilled } else { Status::New };
        let image = Image {
            tick: wanted.tick,
            qty: wanted.qty,
            leaves,
            status,
            exchange_ns: now,
            requested_ns: wanted.requested_ns,
            ..old
        };
        if leaves <= 0 {
            self.take(wanted.id);
            links.answer(now, Image { leaves: 0, status: Status::Canceled, ..image }, Tells::State);
        } else if !self.rules.compatible || wanted.tick != old.tick || grows {
            self.take(wanted.id);
            self.accept_changed(image, now, links);
        } else {
            if let Some(order) = self.own.iter_mut().find_map(|own| own.get_mut(wanted.id)) {
                order.image = image;
            }
            links.answer(now, image, Tells::State);
        }
    }

    /// A changed post-only order that would take does not expire as a new one does: the exchange cancels it.
    fn accept_changed(&mut self, image: Image, now: i64, links: &mut Links) {
        if self.rules.compatible || image.time_in_force != TimeInForce::Gtx {
            return self.accept(image, now, links);
        }
        let reason = match (self.crosses(&image), self.meets_own(&image)) {
            (true, _) => Reason::None,
            (false, true) => Reason::SelfTrade,
            (false, false) => return self.accept(image, now, links),
        };
        links.explain(now, Image { status: Status::Canceled, ..image }, Tells::State, reason);
    }

    /// An order comes to rest behind what is displayed; one that traded on arrival has been told of already.
    pub(super) fn rest(&mut self, mut image: Image, told: bool, now: i64, links: &mut Links) {
        let index = index_of(image.side);
        let key = key_of(image.side, image.tick);
        image.ahead = self.book.parts_at(index, key);
        if !image.status.is_active() {
            image.status = Status::New;
        }
        image.exchange_ns = now;
        let place = QueuePlace::behind(self.rules.float(image.ahead));
        self.reducing += usize::from(image.reduce_only);
        self.own[index].insert(Resting { image, key, place, credit: 0 });
        if !told {
            links.answer(now, image, Tells::State);
        }
    }

    pub(super) fn expire(&self, image: Image, reason: Reason, now: i64, links: &mut Links) {
        links.explain(now, Image { status: Status::Expired, exchange_ns: now, ..image }, Tells::State, reason);
    }

    /// Accepts a new order, or a modified one as if it were new.
    fn accept(&mut self, image: Image, now: i64, links: &mut Links) {
        let (crosses, meets_own) = (self.crosses(&image), self.meets_own(&image));
        if crosses || meets_own {
            return match image.time_in_force {
                TimeInForce::Gtx if crosses => self.expire(image, Reason::None, now, links),
                TimeInForce::Gtx => self.expire(image, Reason::SelfTrade, now, links),
                TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => self.take_market(image, now, links),
            };
        }
        match image.time_in_force {
            TimeInForce::Gtc | TimeInForce::Gtx if image.kind == OrderKind::Limit => {
                self.rest(image, false, now, links);
            }
            TimeInForce::Gtc | TimeInForce::Gtx | TimeInForce::Ioc | TimeInForce::Fok => {
                self.expire(image, Reason::None, now, links);
            }
        }
    }
}
