"""redis-py's asyncio client against Redis: asyncio's streams, with a time-out around each read."""

import asyncio
import os

import redis.asyncio as redis
import stage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockError, ResponseError, WatchError
from redis.exceptions import TimeoutError as RedisTimeout
from stage import check


async def client(**options: object) -> redis.Redis:
    host, _, port = stage.from_environment("ECOSYSTEM_REDIS").partition(":")
    opened = redis.Redis(**({"host": host, "port": int(port), "decode_responses": True} | options))
    await opened.flushall()
    return opened


@check
async def values_and_errors() -> None:
    async with await client(decode_responses=False) as r:
        large = os.urandom(8 * 1024 * 1024)
        assert await r.set("large", large) and await r.get("large") == large
        assert await r.get("nothing") is None
        assert await r.hset("h", mapping={"a": 1, "b": 2}) == 2 and await r.hgetall("h") == {b"a": b"1", b"b": b"2"}
        try:
            await r.incr("large")
            raise AssertionError("counted bytes")
        except ResponseError:
            pass
        for number in range(1000):
            await r.set(f"key:{number}", number)
        assert {int(key.split(b":")[1]) async for key in r.scan_iter("key:*", count=100)} == set(range(1000))


@check
async def a_hundred_tasks_on_a_pool() -> None:
    async with await client(max_connections=100) as r:

        async def work(number: int) -> int:
            for _ in range(10):
                await r.incr("counter")
            await r.set(f"k{number}", number)
            return int(await r.get(f"k{number}"))

        assert await asyncio.gather(*(work(number) for number in range(100))) == list(range(100))
        assert await r.get("counter") == "1000"


@check
async def a_blocking_pool_of_two() -> None:
    host, _, port = stage.from_environment("ECOSYSTEM_REDIS").partition(":")
    pool = redis.BlockingConnectionPool(host=host, port=int(port), max_connections=2, timeout=30)
    async with redis.Redis.from_pool(pool) as r:
        assert await asyncio.gather(*(r.echo(str(number)) for number in range(50))) == [str(number).encode() for number in range(50)]


@check
async def pipelines_and_optimistic_transactions() -> None:
    async with await client() as r:
        async with r.pipeline(transaction=True) as pipe:
            assert await pipe.set("a", 1).incr("a").get("a").execute() == [True, 2, "2"]
        async with r.pipeline() as pipe:
            await pipe.watch("a")
            await r.set("a", "changed")
            pipe.multi()
            pipe.set("a", "mine")
            try:
                await pipe.execute()
                raise AssertionError("the change went unnoticed")
            except WatchError:
                pass
        assert await r.get("a") == "changed"
        async with r.pipeline(transaction=False) as pipe:
            for number in range(5000):
                pipe.echo(str(number))
            assert await pipe.execute() == [str(number) for number in range(5000)]


@check
async def publish_and_subscribe() -> None:
    async with await client() as r, r.pubsub() as channel:
        await channel.subscribe("news")
        await channel.psubscribe("weather.*")
        assert {(await channel.get_message(timeout=30))["type"] for _ in range(2)} == {"subscribe", "psubscribe"}

        async def speak() -> None:
            for number in range(100):
                assert await r.publish("news" if number % 2 else "weather.local", number) == 1

        speaking = asyncio.create_task(speak())
        heard = [await channel.get_message(ignore_subscribe_messages=True, timeout=30) for _ in range(100)]
        await speaking
        assert [int(message["data"]) for message in heard] == list(range(100))
        assert await channel.get_message(timeout=0.01) is None
        await channel.unsubscribe()
        await channel.punsubscribe()


@check
async def streams_with_a_consumer_group() -> None:
    async with await client() as r:
        await r.xgroup_create("events", "workers", mkstream=True)

        async def produce() -> None:
            for number in range(100):
                await r.xadd("events", {"n": number})

        async def consume(name: str) -> list[int]:
            got: list[int] = []
            while True:
                answer = await r.xreadgroup("workers", name, {"events": ">"}, count=5, block=200)
                if not answer:
                    return got
                # A list of pairs in one protocol, a mapping of lists in the other.
                for entries in [pair[1] for pair in answer] if isinstance(answer, list) else [part for value in answer.values() for part in value]:
                    for identity, fields in entries:
                        got.append(int(fields["n"]))
                        await r.xack("events", "workers", identity)

        _, first, second = await asyncio.gather(produce(), consume("a"), consume("b"))
        assert sorted(first + second) == list(range(100))


@check
async def a_cancelled_blocking_pop_loses_nothing() -> None:
    async with await client() as r:
        for _ in range(5):
            waiting = asyncio.create_task(r.blpop(["queue"], timeout=0))
            # Not before the server has it waiting.
            while (await r.info("clients"))["blocked_clients"] != 1:
                pass
            waiting.cancel()
            try:
                await waiting
                raise AssertionError("was not cancelled")
            except asyncio.CancelledError:
                pass
            while (await r.info("clients"))["blocked_clients"]:
                pass
        await r.rpush("queue", "item")
        assert await r.blpop(["queue"], timeout=5) in (("queue", "item"), ["queue", "item"])
        assert await r.ping()


@check
async def timeouts() -> None:
    # Without its retries, the time-out comes through.
    async with await client(socket_timeout=0.1, retry=Retry(NoBackoff(), 0)) as r:
        try:
            await r.blpop(["nothing"], timeout=0)
            raise AssertionError("got something")
        except RedisTimeout:
            pass
        assert await r.ping()


@check
async def locks() -> None:
    async with await client() as r:
        inside = 0

        async def work() -> None:
            nonlocal inside
            async with r.lock("lock", timeout=30, sleep=0.001):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(work())
        async with r.lock("lock", timeout=30):
            try:
                async with r.lock("lock", blocking_timeout=0.02):
                    raise AssertionError("locked twice")
            except LockError:
                pass


@check
async def a_killed_connection_is_opened_again() -> None:
    async with await client() as r, await client() as other:
        name = await r.client_id()
        await other.client_kill_filter(_id=name)
        for _ in range(2):
            try:
                await r.ping()
            except RedisConnectionError:
                continue
            break
        assert await r.client_id() != name
    try:
        await redis.Redis(host="127.0.0.1", port=1).ping()
        raise AssertionError("somebody answered")
    except RedisConnectionError:
        pass


@check
async def a_unix_socket() -> None:
    async with redis.Redis(unix_socket_path=stage.from_environment("ECOSYSTEM_REDIS_SOCKET")) as r:
        large = os.urandom(1024 * 1024)
        assert await r.set("large", large) and await r.get("large") == large


@check
async def tls() -> None:
    host, _, port = stage.from_environment("ECOSYSTEM_REDIS_TLS").partition(":")
    async with redis.Redis(host=host, port=int(port), ssl=True, ssl_ca_certs=str(stage.certificates() / "ca.pem")) as r:
        large = os.urandom(1024 * 1024)
        assert await r.set("large", large) and await r.get("large") == large


if __name__ == "__main__":
    stage.go()
