"""A stranger's client as a yardstick: ccxt.pro answers every tick with one order, over WebSockets both ways.

Reads the line of `optiflow exchange --json` from the file named first and answers as many ticks as the second argument says:
best bid and ask by `watch_bids_asks`, orders by `create_order_ws`, the order before cancelled at leisure. What the exchange
measures is ccxt's reaction time. Bounded in time; talks to loopback only.
"""

import asyncio
import json
import sys

import ccxt
import ccxt.pro

from ccxt_client import SYMBOL, client

AMOUNT = 0.001
AWAY = 5.0
SECONDS_PER_TICK = 0.5


async def react(binance, orders):
    await binance.load_markets()
    before, placed = None, 0
    for number in range(orders):
        ticker = (await binance.watch_bids_asks([SYMBOL]))[SYMBOL]
        price = binance.price_to_precision(SYMBOL, ticker["bid"] - AWAY)
        parameters = {"newClientOrderId": f"x-{number:08}", "timeInForce": "GTX"}
        order = await binance.create_order_ws(SYMBOL, "limit", "buy", AMOUNT, float(price), parameters)
        placed += 1
        if before is not None:
            await binance.cancel_order_ws(before, SYMBOL)
        before = order["id"]
    if before is not None:
        await binance.cancel_order_ws(before, SYMBOL)
    return placed


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        exchange = json.loads(file.readline())
    orders = int(sys.argv[2])
    binance = client(exchange)
    if exchange["ca_file"]:
        binance.cafile = exchange["ca_file"]
    try:
        placed = await asyncio.wait_for(react(binance, orders), 30 + orders * SECONDS_PER_TICK)
        print(f"ccxt {ccxt.__version__}: {placed} orders")
    finally:
        await binance.close()


if __name__ == "__main__":
    asyncio.run(main())
