"""asyncpg against PostgreSQL: its protocol is in C, on a Transport and a Protocol of the loop's."""

import asyncio
import os
import ssl

import asyncpg
import stage
from stage import check

HOST, _, PORT = os.environ.get("ECOSYSTEM_POSTGRES", "").partition(":")


async def connect(**options: object) -> asyncpg.Connection:
    stage.from_environment("ECOSYSTEM_POSTGRES")
    return await asyncpg.connect(**({"host": HOST, "port": int(PORT), "user": "plait", "database": "postgres", "ssl": False} | options))


def pool(size: int, **options: object) -> asyncpg.Pool:
    stage.from_environment("ECOSYSTEM_POSTGRES")
    return asyncpg.create_pool(host=HOST, port=int(PORT), user="plait", database="postgres", ssl=False, min_size=1, max_size=size, **options)


@check
async def types_and_prepared_statements() -> None:
    connection = await connect()
    row = await connection.fetchrow("SELECT $1::int AS i, $2::text AS t, $3::bytea AS b, $4::float8 AS f, $5::int[] AS l", 7, "ü", b"\0\1", 1.5, [1, 2])
    assert dict(row) == {"i": 7, "t": "ü", "b": b"\0\1", "f": 1.5, "l": [1, 2]}
    statement = await connection.prepare("SELECT $1::int * 2")
    assert [await statement.fetchval(number) for number in range(200)] == list(range(0, 400, 2))
    large = os.urandom(4 * 1024 * 1024)
    assert await connection.fetchval("SELECT $1::bytea", large) == large
    await connection.close()
    assert connection.is_closed()


@check
async def transactions_and_savepoints() -> None:
    connection = await connect()
    await connection.execute("CREATE TEMP TABLE t (n int PRIMARY KEY)")
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")
            raise LookupError
    except LookupError:
        pass
    assert await connection.fetchval("SELECT count(*) FROM t") == 0
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO t VALUES (1)")
        except asyncpg.UniqueViolationError as error:
            assert error.constraint_name == "t_pkey"
        await connection.execute("INSERT INTO t VALUES (2)")
    assert [row["n"] for row in await connection.fetch("SELECT n FROM t ORDER BY n")] == [1, 2]
    await connection.close()


@check
async def a_pool_of_five_and_a_hundred_tasks() -> None:
    async with pool(5) as five:
        await five.execute("DROP TABLE IF EXISTS counted; CREATE TABLE counted (n int); INSERT INTO counted VALUES (0)")
        at_once, most = 0, 0
        together = asyncio.Barrier(5)  # not by chance

        async def work(number: int) -> int:
            nonlocal at_once, most
            async with five.acquire() as connection, connection.transaction():
                at_once += 1
                most = max(most, at_once)
                await together.wait()
                await connection.execute("UPDATE counted SET n = n + 1")
                result = await connection.fetchval("SELECT $1::int", number)
                at_once -= 1
                return result

        assert await asyncio.gather(*(work(number) for number in range(100))) == list(range(100))
        assert await five.fetchval("SELECT n FROM counted") == 100
        assert most == 5
        await five.execute("DROP TABLE counted")


@check
async def a_cursor_streams_rows() -> None:
    connection = await connect()
    async with connection.transaction():
        numbers = [row["n"] async for row in connection.cursor("SELECT generate_series(1, 20000) AS n", prefetch=500)]
    assert numbers == list(range(1, 20001))
    await connection.close()


@check
async def copy_in_and_out() -> None:
    connection = await connect()
    await connection.execute("CREATE TEMP TABLE copied (n int, word text)")
    records = [(number, f"word {number}") for number in range(20000)]
    assert await connection.copy_records_to_table("copied", records=records) == "COPY 20000"
    got = bytearray()

    async def sink(data: bytes) -> None:
        await asyncio.sleep(0)
        got.extend(data)

    await connection.copy_from_query("SELECT * FROM copied ORDER BY n", output=sink)
    assert bytes(got) == b"".join(f"{number}\tword {number}\n".encode() for number in range(20000))
    await connection.close()


@check
async def listen_and_notify() -> None:
    listener, speaker = await connect(), await connect()
    heard: asyncio.Queue[str] = asyncio.Queue()
    await listener.add_listener("news", lambda connection, pid, channel, payload: heard.put_nowait(payload))
    for number in range(50):
        await speaker.execute("SELECT pg_notify('news', $1)", str(number))
    assert [await heard.get() for _ in range(50)] == [str(number) for number in range(50)]
    await listener.close()
    await speaker.close()


@check
async def a_cancelled_query_leaves_the_connection_usable() -> None:
    connection, other = await connect(), await connect()
    # Not before it sleeps there: the server pays no heed to a request to cancel what it has not begun.
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event = 'PgSleep'"
    for _ in range(3):
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(3600)"))
        while not await other.fetchval(query, connection.get_server_pid()):
            pass
        sleeping.cancel()
        try:
            await sleeping
            raise AssertionError("was not cancelled")
        except asyncio.CancelledError:
            pass
        assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    await other.close()


@check
async def timeouts() -> None:
    connection = await connect(command_timeout=0.1)
    for wait in (connection.execute("SELECT pg_sleep(3600)"), connection.fetch("SELECT pg_sleep(3600)", timeout=0.05)):
        try:
            await wait
            raise AssertionError("did not time out")
        except TimeoutError:
            pass
        assert await connection.fetchval("SELECT 1") == 1
    async with pool(1) as one, one.acquire():
        try:
            await one.acquire(timeout=0.05)
            raise AssertionError("there was a second connection")
        except TimeoutError:
            pass
    await connection.close()


@check
async def errors_of_the_server() -> None:
    connection = await connect()
    for statement, kind in {
        "SELECT 1/0": asyncpg.DivisionByZeroError,
        "SELECT * FROM nowhere": asyncpg.UndefinedTableError,
        "SELEC": asyncpg.PostgresSyntaxError,
    }.items():
        try:
            await connection.execute(statement)
            raise AssertionError(statement)
        except kind:
            pass
    await connection.close()
    try:
        await connect(database="nowhere")
        raise AssertionError("there is no such database")
    except asyncpg.InvalidCatalogNameError:
        pass


@check
async def the_server_cuts_a_connection_and_the_pool_recovers() -> None:
    async with pool(3) as three:
        async with three.acquire() as victim:
            pid = victim.get_server_pid()
            waiting = asyncio.create_task(victim.execute("SELECT pg_sleep(3600)"))
            async with three.acquire() as other:
                # Not before it sleeps there: until then it would be told of the end by another error.
                while not await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep%' AND state = 'active'", pid):
                    pass
                assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
            try:
                await waiting
                raise AssertionError("went on")
            except (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError):
                pass
        assert await asyncio.gather(*(three.fetchval("SELECT 1") for _ in range(20))) == [1] * 20


@check
async def a_unix_socket() -> None:
    connection = await connect(host=stage.from_environment("ECOSYSTEM_POSTGRES_SOCKETS"))
    assert await connection.fetchval("SELECT inet_server_addr() IS NULL")
    await connection.close()


@check
async def tls() -> None:
    context = ssl.create_default_context(cafile=str(stage.certificates() / "ca.pem"))
    connection = await connect(ssl=context)
    assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    large = os.urandom(1024 * 1024)
    assert await connection.fetchval("SELECT $1::bytea", large) == large
    await connection.close()


if __name__ == "__main__":
    stage.go()
