"""Subclasses of streams: what one overrides is called, by the transport's side and by the streams' own methods.

plait's streams have short cuts between each other. They must not pass by somebody's method.
"""

from stream_stage import Transport, assert_same, plain, told


def test_a_reader_that_overrides_what_the_protocol_calls():
    def body(stage):
        class Mine(stage.StreamReader):
            def __init__(self, *args, **kwargs):
                self.seen = ["before"]
                super().__init__(*args, **kwargs)

            def feed_data(self, data):
                self.seen.append(bytes(data))
                super().feed_data(data.upper())

            def feed_eof(self):
                self.seen.append("eof")
                super().feed_eof()

            def set_exception(self, error):
                self.seen.append(told(error))
                super().set_exception(error)

            def set_transport(self, transport):
                self.seen.append("transport")
                super().set_transport(transport)

        for end in (None, OSError(5, "cut")):
            reader = Mine(limit=100, loop=stage.loop)
            _, protocol, _writer, transport = stage.connection(reader=reader)
            stage.note(isinstance(reader, stage.StreamReader), type(reader).__name__, reader._limit)
            protocol.data_received(b"abc\nd")
            stage.note(stage.run(reader.readline()), plain(reader))
            protocol.eof_received() if end is None else None
            protocol.connection_lost(end)
            stage.note(reader.seen)
            transport.closing = True

    assert_same(body)


def test_a_reader_that_overrides_what_its_own_methods_call():
    """readline is made of readuntil, iteration of readline, reading to the end of reading a piece."""

    def body(stage):
        class Mine(stage.StreamReader):
            async def readuntil(self, separator=b"\n"):
                stage.note("readuntil", separator)
                return (await super().readuntil(separator)).upper()

            async def read(self, n=-1):
                stage.note("read", n)
                return await super().read(n)

        reader = Mine(limit=4, loop=stage.loop)
        reader.feed_data(b"ab\ncd\nabcdefg")
        reader.feed_eof()
        stage.note(stage.run(reader.readline()), stage.run(anext(reader)), stage.run(reader.read()))

    assert_same(body)


def test_a_reader_whose_exception_is_computed():
    def body(stage):
        class Mine(stage.StreamReader):
            def exception(self):
                return LookupError("computed")

        _, _, writer, transport = stage.connection(reader=Mine(loop=stage.loop))
        stage.attempt(stage.run, writer.drain())
        transport.closing = True

    assert_same(body)


def test_a_protocol_that_overrides_everything():
    def body(stage):
        class Mine(stage.StreamReaderProtocol):
            def __init__(self, *args, **kwargs):
                self.seen = []
                super().__init__(*args, **kwargs)

            async def _drain_helper(self):
                self.seen.append("drain")
                await super()._drain_helper()

            def _get_close_waiter(self, stream):
                self.seen.append("close waiter")
                return super()._get_close_waiter(stream)

        def overridden(name):
            def method(self, *args):
                self.seen.append((name, [told(arg) if isinstance(arg, BaseException) else plain(arg) for arg in args]))
                return getattr(super(Mine, self), name)(*args)

            return method

        names = "connection_made connection_lost data_received eof_received pause_writing resume_writing"
        for name in names.split():
            setattr(Mine, name, overridden(name))

        reader = stage.reader()
        protocol = Mine(reader, loop=stage.loop)
        transport = Transport(stage)
        protocol.connection_made(transport)
        writer = stage.StreamWriter(transport, protocol, reader, stage.loop)
        protocol.data_received(b"abc")
        protocol.pause_writing()
        drain = stage.loop.create_task(writer.drain())
        stage.turn()
        protocol.resume_writing()
        stage.turn(2)
        stage.note_end("drain", drain)
        stage.note(protocol.eof_received())
        protocol.connection_lost(None)
        stage.attempt(stage.run, writer.wait_closed())
        stage.note(protocol.seen, plain(reader))
        transport.closing = True

    assert_same(body)


def test_a_writer_that_overrides_write_and_drain():
    def body(stage):
        class Mine(stage.StreamWriter):
            lines = 0

            def write(self, data):
                self.lines += 1
                super().write(b"<" + data + b">")

            async def drain(self):
                stage.note("drain")
                await super().drain()

            @property
            def transport(self):
                return "hidden"

        reader, protocol, _, transport = stage.connection()
        writer = Mine(transport, protocol, reader, stage.loop)
        writer.write(b"a")
        writer.writelines([b"b"])
        stage.note(stage.run(writer.drain()), writer.lines, writer.transport, plain(writer))
        transport.closing = True

    assert_same(body)


def test_init_again():
    """A second __init__ begins anew."""

    def body(stage):
        reader = stage.reader(limit=3)
        reader.set_transport(Transport(stage))
        reader.feed_data(b"abcdefgh")
        reader.feed_eof()
        reader.set_exception(LookupError())
        reader.__init__(limit=5, loop=stage.loop)
        stage.note(plain(reader), reader.exception(), reader.at_eof(), reader._paused, reader._transport)
        reader.feed_data(b"again")
        stage.note(stage.run(reader.read(10)))

    assert_same(body)
