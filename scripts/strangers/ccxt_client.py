"""A stranger's client against the simulated exchange: ccxt with its URLs overridden and nothing else changed.

Reads the line that `optiflow exchange --no-tls --json` prints from the file named on the command line. Prints a line per
check; exit code 0 when all of them hold. Bounded in time; talks to loopback only.
"""

import asyncio
import json
import sys

import ccxt
import ccxt.pro

SYMBOL = "BTC/USDT:USDT"
CHECK_SECONDS = 30
AMOUNT = 0.01
BOOK_UPDATES = 20


def client(exchange):
    """ccxt's Binance futures client, every URL of it led to the exchange."""
    binance = ccxt.pro.binanceusdm({
        "apiKey": exchange["api_key"],
        "secret": exchange["api_secret"],
        "enableRateLimit": False,
        "newUpdates": True,
        # Spot's list of currencies: the exchange has no spot.
        "has": {"fetchCurrencies": False},
    })
    api = binance.urls["api"]
    for name, url in list(api.items()):
        if isinstance(url, str):
            # Only the paths of the futures API mean anything there; whatever else were asked for would get a 404.
            path = url.split("://", 1)[1].partition("/")[2]
            api[name] = f"{exchange['rest']}/{path}"
    api["ws"] = {"linear": exchange["streams"] + "/ws", "ws-api": {"linear": exchange["ws_api"]}}
    return binance


class Checks:
    """Runs checks one after the other and counts those that fail."""

    def __init__(self):
        self.failed = 0

    async def check(self, name, work):
        try:
            detail = await asyncio.wait_for(work, CHECK_SECONDS)
            print(f"ok      {name}: {detail}", flush=True)
        except Exception as error:  # A failed check must not hide the ones after it.
            self.failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)


async def markets(binance):
    await binance.load_markets()
    market = binance.market(SYMBOL)
    assert market["linear"] and market["swap"] and market["active"], market
    return f"{len(binance.markets)} markets, {SYMBOL} tick {market['precision']['price']}"


async def trades(binance, name):
    trade = (await binance.watch_trades(SYMBOL, params={"name": name}))[-1]
    assert trade["symbol"] == SYMBOL and trade["price"] > 0 and trade["amount"] > 0, trade
    return f"{trade['side']} {trade['amount']} at {trade['price']}"


async def best_bid_and_ask(binance):
    ticker = (await binance.watch_bids_asks([SYMBOL]))[SYMBOL]
    assert 0 < ticker["bid"] < ticker["ask"], ticker
    return f"{ticker['bid']} / {ticker['ask']}"


async def book(binance):
    """ccxt buffers diffs, fetches the snapshot, and raises when a diff does not continue the one before."""
    nonce = 0
    for _ in range(BOOK_UPDATES):
        watched = await binance.watch_order_book(SYMBOL)
        assert watched["nonce"] >= nonce, (watched["nonce"], nonce)
        assert watched["bids"][0][0] < watched["asks"][0][0], (watched["bids"][0], watched["asks"][0])
        nonce = watched["nonce"]
    return f"{BOOK_UPDATES} updates to {nonce}, {len(watched['bids'])} bids, {len(watched['asks'])} asks"


async def klines(binance):
    watched = (await binance.watch_ohlcv(SYMBOL, "1m"))[-1]
    fetched = (await binance.fetch_ohlcv(SYMBOL, "1m"))[-1]
    assert watched[0] == fetched[0] or fetched[0] - watched[0] == 60_000, (watched, fetched)
    return f"close {watched[4]}, volume {watched[5]}"


async def resting_price(binance):
    """Two per cent below the market: rests, and stays within the price band."""
    depth = await binance.fetch_order_book(SYMBOL, 5)
    return float(binance.price_to_precision(SYMBOL, depth["bids"][0][0] * 0.98))


async def own_update(binance, order_id, status):
    """Waits until the user stream tells that an order has the status."""
    while True:
        for order in await binance.watch_orders(SYMBOL):
            if order["id"] == order_id and order["status"] == status:
                return order


async def rest_order(binance):
    # ccxt opens the user stream with its first watch; it must listen before the order is placed.
    listening = asyncio.ensure_future(binance.watch_orders(SYMBOL))
    await asyncio.sleep(1)
    price = await resting_price(binance)
    placed = await binance.create_order(SYMBOL, "limit", "buy", AMOUNT, price, {"timeInForce": "GTX"})
    assert placed["status"] == "open", placed
    told = (await listening)[-1]
    assert told["id"] == placed["id"] and told["status"] == "open", told
    opened = await binance.fetch_open_orders(SYMBOL)
    assert [order["id"] for order in opened] == [placed["id"]], opened
    assert opened[0]["price"] == price and opened[0]["amount"] == AMOUNT and opened[0]["postOnly"], opened
    telling = asyncio.ensure_future(own_update(binance, placed["id"], "canceled"))
    canceled = await binance.cancel_order(placed["id"], SYMBOL)
    assert canceled["status"] == "canceled", canceled
    await telling
    assert await binance.fetch_open_orders(SYMBOL) == []
    return f"order {placed['id']} at {price}: placed, told, seen open, cancelled, told"


async def refusals(binance):
    ask = (await binance.fetch_order_book(SYMBOL, 5))["asks"][0][0]
    try:
        await binance.create_order(SYMBOL, "limit", "buy", AMOUNT, ask * 1.01, {"timeInForce": "GTX"})
        raise AssertionError("a post-only order that takes must be refused")
    except ccxt.InvalidOrder as error:
        assert "-5022" in str(error), error
    secret, binance.secret = binance.secret, "wrong"
    try:
        await binance.fetch_balance()
        raise AssertionError("a wrong signature must be refused")
    except ccxt.ExchangeError as error:
        assert "-1022" in str(error), error
    finally:
        binance.secret = secret
    return "-5022 for a post-only order that takes, -1022 for a wrong signature"


async def position(binance):
    telling = asyncio.ensure_future(binance.watch_my_trades(SYMBOL))
    await asyncio.sleep(0.5)
    bought = await binance.create_order(SYMBOL, "market", "buy", AMOUNT)
    fill = (await telling)[-1]
    assert fill["order"] == bought["id"] and fill["takerOrMaker"] == "taker" and fill["fee"]["cost"] > 0, fill
    held = [held for held in await binance.fetch_positions([SYMBOL]) if held["contracts"]]
    assert len(held) == 1 and held[0]["contracts"] == AMOUNT and held[0]["side"] == "long", held
    balance = (await binance.fetch_balance())["USDT"]
    assert 0 < balance["free"] < balance["total"] < 10_000, balance
    await binance.create_order(SYMBOL, "market", "sell", AMOUNT, None, {"reduceOnly": True})
    assert not any(held["contracts"] for held in await binance.fetch_positions([SYMBOL]))
    return f"long {AMOUNT} at {held[0]['entryPrice']}, then flat"


async def socket_order(binance):
    price = await resting_price(binance)
    placed = await binance.create_order_ws(SYMBOL, "limit", "buy", AMOUNT, price, {"timeInForce": "GTX"})
    assert placed["status"] == "open", placed
    telling = asyncio.ensure_future(own_update(binance, placed["id"], "canceled"))
    canceled = await binance.cancel_order_ws(placed["id"], SYMBOL)
    assert canceled["id"] == placed["id"] and canceled["status"] == "canceled", canceled
    await telling
    assert await binance.fetch_open_orders(SYMBOL) == []
    return f"order {placed['id']}: placed and cancelled over the WebSocket API, told on the user stream"


async def main(path):
    with open(path, encoding="utf-8") as file:
        binance = client(json.loads(file.readline()))
    checks = Checks()
    try:
        await checks.check("load markets", markets(binance))
        await checks.check("trades", trades(binance, "trade"))
        await checks.check("aggregated trades", trades(binance, "aggTrade"))
        await checks.check("best bid and ask", best_bid_and_ask(binance))
        await checks.check("synchronised book", book(binance))
        await checks.check("klines", klines(binance))
        await checks.check("post-only order over REST", rest_order(binance))
        await checks.check("refusals", refusals(binance))
        await checks.check("position", position(binance))
        await checks.check("order over the WebSocket API", socket_order(binance))
    finally:
        await binance.close()
    print("all checks hold" if checks.failed == 0 else f"{checks.failed} checks failed", flush=True)
    return 0 if checks.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
