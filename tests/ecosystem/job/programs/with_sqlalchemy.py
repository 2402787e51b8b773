"""SQLAlchemy's asyncio extension on asyncpg: greenlets that switch to the loop at each await of the driver's."""

import asyncio

import stage
from sqlalchemy import ForeignKey, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from stage import check


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def engine(**options: object) -> AsyncEngine:
    address = stage.from_environment("ECOSYSTEM_POSTGRES")
    return create_async_engine(f"postgresql+asyncpg://plait@{address}/postgres", connect_args={"ssl": False}, **options)


class Library:
    """An engine with fresh tables, gone when the block is left."""

    def __init__(self, **options: object) -> None:
        self.engine = engine(**options)
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)

    async def __aenter__(self) -> "Library":
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await self.engine.dispose()

    async def titles(self) -> list[str]:
        async with self.session() as session:
            return list(await session.scalars(select(Book.title).order_by(Book.title)))


@check
async def objects_and_relationships() -> None:
    async with Library() as library:
        async with library.session.begin() as session:
            session.add_all(Author(name=f"author {a}", books=[Book(title=f"book {a}.{b}") for b in range(3)]) for a in range(10))
        async with library.session() as session:
            authors = (await session.scalars(select(Author).options(selectinload(Author.books)).order_by(Author.id))).all()
            assert [[book.title for book in author.books] for author in authors] == [[f"book {a}.{b}" for b in range(3)] for a in range(10)]
            book = await session.get_one(Book, authors[0].books[0].id)
            assert (await book.awaitable_attrs.author) is authors[0]
        async with library.session() as session:
            lazy = (await session.scalars(select(Author).where(Author.name == "author 3"))).one()
            assert len(await lazy.awaitable_attrs.books) == 3


@check
async def transactions_and_errors() -> None:
    async with Library() as library:
        async with library.session() as session:
            session.add(Author(name="one"))
            await session.commit()
            session.add(Author(name="one"))
            try:
                await session.commit()
                raise AssertionError("twice the same name")
            except IntegrityError:
                await session.rollback()
            async with session.begin():
                try:
                    async with session.begin_nested():
                        session.add(Author(name="one"))
                except IntegrityError:
                    pass
                session.add(Author(name="two"))
            assert await session.scalar(select(func.count()).select_from(Author)) == 2
            try:
                await session.execute(text("SELECT 1/0"))
                raise AssertionError("divided")
            except DBAPIError:
                pass


@check
async def fifty_sessions_on_a_pool_of_five() -> None:
    async with Library(pool_size=5, max_overflow=0) as library:

        async def work(number: int) -> None:
            async with library.session.begin() as session:
                session.add(Author(name=f"author {number}", books=[Book(title=f"{number:02}")]))
                await session.flush()

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(work(number))
        assert await library.titles() == [f"{number:02}" for number in range(50)]


@check
async def a_stream_of_rows() -> None:
    async with Library() as library, library.engine.connect() as connection:
        result = await connection.stream(text("SELECT generate_series(1, 10000)"))
        assert [row[0] async for row in result] == list(range(1, 10001))
        result = await connection.stream(text("SELECT generate_series(1, 10000)"))
        assert (await result.fetchmany(3))[2][0] == 3
        await result.close()


@check
async def a_cancelled_transaction_is_rolled_back() -> None:
    async with Library(pool_size=1, max_overflow=0) as library:
        inserted = asyncio.Event()

        async def work(session: AsyncSession) -> None:
            async with session.begin():
                session.add(Author(name="one", books=[Book(title="lost")]))
                await session.flush()
                inserted.set()
                await session.execute(text("SELECT pg_sleep(3600)"))

        async with library.session() as session:
            working = asyncio.create_task(work(session))
            await inserted.wait()
            working.cancel()
            try:
                await working
                raise AssertionError("was not cancelled")
            except asyncio.CancelledError:
                pass
        assert await library.titles() == []


@check
async def the_pool_times_out() -> None:
    one = engine(pool_size=1, max_overflow=0, pool_timeout=0.05)
    async with one.connect():
        try:
            async with one.connect():
                raise AssertionError("there was a second connection")
        except PoolTimeout:
            pass
    await one.dispose()


@check
async def a_cut_connection_is_replaced_by_pre_ping() -> None:
    one = engine(pool_size=1, max_overflow=0, pool_pre_ping=True)
    other = engine()
    async with one.connect() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    async with other.connect() as connection:
        assert await connection.scalar(text(f"SELECT pg_terminate_backend({pid})"))
    async with one.connect() as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) != pid
    await one.dispose()
    await other.dispose()


if __name__ == "__main__":
    stage.go()
