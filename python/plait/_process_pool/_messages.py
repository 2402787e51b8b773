"""What a pool and its workers say to each other: the kinds of messages. Their number is that of the call."""

# to the worker
CALL = 1  # the pickled call, and its buffers
CALLS = 2  # pickled calls without buffers, one part each; the number is the first one's
STOP = 3
CANCEL = 4  # a coroutine; the number is the call's
GIVE_BACK = 5  # coroutines that wait for their turn

# from the worker
READY = 10
RETURNED = 11  # the pickled result, and its buffers
RAISED = 12  # the pickled exception
TAKEN_BACK = 13  # the call had been taken back, and was not made
NOT_LOADED = 14  # the call could not be unpickled; the pickled exception
NOT_STARTED = 15  # the initializer has raised
