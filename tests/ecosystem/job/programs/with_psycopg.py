"""psycopg 3 against PostgreSQL: libpq speaks to the server, the loop says when (``add_reader``, ``add_writer``)."""

import asyncio
import os

import psycopg
import psycopg_pool
import stage
from stage import check


def dsn(**options: str) -> str:
    host, _, port = stage.from_environment("ECOSYSTEM_POSTGRES").partition(":")
    given = {"host": host, "port": port, "user": "plait", "dbname": "postgres", "sslmode": "disable"} | options
    return " ".join(f"{name}={value}" for name, value in given.items())


async def connect(**options: object) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(dsn(), **options)


async def value(connection: psycopg.AsyncConnection, query: str, *arguments: object) -> object:
    row = await (await connection.execute(query, arguments)).fetchone()
    assert row is not None
    return row[0]


@check
async def types_and_large_values() -> None:
    async with await connect() as connection:
        row = await (await connection.execute("SELECT %s::int, %s::text, %s::bytea, %s::int[]", (7, "ü", b"\0\1", [1, 2]))).fetchone()
        assert row == (7, "ü", b"\0\1", [1, 2])
        large = os.urandom(4 * 1024 * 1024)
        assert await value(connection, "SELECT %s::bytea", large) == large


@check
async def transactions_and_savepoints() -> None:
    async with await connect(autocommit=True) as connection:
        await connection.execute("CREATE TEMP TABLE t (n int PRIMARY KEY)")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO t VALUES (1)")
                raise LookupError
        except LookupError:
            pass
        assert await value(connection, "SELECT count(*) FROM t") == 0
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO t VALUES (1)")
            except psycopg.errors.UniqueViolation:
                pass
            await connection.execute("INSERT INTO t VALUES (2)")
        assert await (await connection.execute("SELECT n FROM t ORDER BY n")).fetchall() == [(1,), (2,)]


@check
async def a_pool_of_five_and_a_hundred_tasks() -> None:
    async with psycopg_pool.AsyncConnectionPool(dsn(), min_size=2, max_size=5) as five:
        await five.wait()
        pids: set[object] = set()

        async def work(number: int) -> object:
            async with five.connection() as connection:
                pids.add(connection.info.backend_pid)
                return await value(connection, "SELECT %s::int", number)

        assert await asyncio.gather(*(work(number) for number in range(100))) == list(range(100))
        assert 1 <= len(pids) <= 5
        async with psycopg_pool.AsyncConnectionPool(dsn(), min_size=1, max_size=1) as one, one.connection():
            try:
                async with one.connection(timeout=0.05):
                    raise AssertionError("there was a second connection")
            except psycopg_pool.PoolTimeout:
                pass


@check
async def a_server_side_cursor_streams_rows() -> None:
    async with await connect() as connection, connection.cursor(name="big") as cursor:
        cursor.itersize = 1000
        await cursor.execute("SELECT generate_series(1, 20000)")
        assert [row[0] async for row in cursor] == list(range(1, 20001))
    async with await connect() as connection, connection.cursor() as cursor:
        assert [row[0] async for row in cursor.stream("SELECT generate_series(1, 5000)")] == list(range(1, 5001))


@check
async def copy_in_and_out() -> None:
    async with await connect() as connection, connection.cursor() as cursor:
        await cursor.execute("CREATE TEMP TABLE copied (n int, word text)")
        async with cursor.copy("COPY copied FROM STDIN") as copy:
            for number in range(10000):
                await copy.write_row((number, f"word {number}"))
        got = bytearray()
        async with cursor.copy("COPY (SELECT * FROM copied ORDER BY n) TO STDOUT") as copy:
            async for data in copy:
                got.extend(data)
        assert bytes(got) == b"".join(f"{number}\tword {number}\n".encode() for number in range(10000))


@check
async def a_pipeline() -> None:
    async with await connect() as connection, connection.pipeline():
        cursors = [await connection.execute("SELECT %s::int", (number,)) for number in range(500)]
        assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(500))


@check
async def listen_and_notify() -> None:
    async with await connect(autocommit=True) as listener, await connect(autocommit=True) as speaker:
        await listener.execute("LISTEN news")

        async def speak() -> None:
            for number in range(50):
                await speaker.execute("SELECT pg_notify('news', %s)", (str(number),))

        speaking = asyncio.create_task(speak())
        assert [notice.payload async for notice in listener.notifies(stop_after=50)] == [str(number) for number in range(50)]
        await speaking


@check
async def a_cancelled_query() -> None:
    async with await connect(autocommit=True) as connection, await connect(autocommit=True) as other:
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(3600)"))
        # Not before it sleeps there: the server pays no heed to a request to cancel what it has not begun.
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event = 'PgSleep'"
        while not await value(other, query, connection.info.backend_pid):
            pass
        sleeping.cancel()
        try:
            await sleeping
            raise AssertionError("was not cancelled")
        except asyncio.CancelledError:
            pass
        assert await value(connection, "SELECT 1") == 1
        try:
            await asyncio.wait_for(connection.execute("SELECT pg_sleep(3600)"), 0.5)
            raise AssertionError("did not time out")
        except TimeoutError:
            pass
        assert await value(connection, "SELECT 2") == 2


@check
async def errors_of_the_server() -> None:
    async with await connect(autocommit=True) as connection:
        for statement, kind in {
            "SELECT 1/0": psycopg.errors.DivisionByZero,
            "SELECT * FROM nowhere": psycopg.errors.UndefinedTable,
            "SET statement_timeout = '50ms'; SELECT pg_sleep(3600)": psycopg.errors.QueryCanceled,
        }.items():
            try:
                await connection.execute(statement)
                raise AssertionError(statement)
            except kind:
                pass
    try:
        await psycopg.AsyncConnection.connect(dsn(dbname="nowhere"))
        raise AssertionError("there is no such database")
    except psycopg.OperationalError as error:
        assert "nowhere" in str(error)


@check
async def the_server_cuts_a_connection() -> None:
    async with await connect(autocommit=True) as killer:
        victim = await connect(autocommit=True)
        assert await value(killer, "SELECT pg_terminate_backend(%s)", victim.info.backend_pid)
        try:
            await victim.execute("SELECT pg_sleep(3600)")
            raise AssertionError("went on")
        except psycopg.OperationalError:
            assert victim.broken
        await victim.close()


@check
async def a_unix_socket_and_tls_by_libpq() -> None:
    async with await psycopg.AsyncConnection.connect(dsn(host=stage.from_environment("ECOSYSTEM_POSTGRES_SOCKETS"))) as connection:
        assert await value(connection, "SELECT inet_server_addr() IS NULL")
    authority = stage.certificates() / "ca.pem"
    async with await psycopg.AsyncConnection.connect(dsn(sslmode="verify-full", sslrootcert=str(authority))) as connection:
        assert await value(connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        large = os.urandom(1024 * 1024)
        assert await value(connection, "SELECT %s::bytea", large) == large


if __name__ == "__main__":
    stage.go()
