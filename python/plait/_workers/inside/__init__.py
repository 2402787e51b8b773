"""What runs in a worker, around a program that knows nothing of it.

* ``boot`` begins: it takes over what the supervisor has handed it, puts the hooks in place, and runs the program;
* ``control`` is the thread that speaks with the supervisor; ``leaving`` is how a worker ends in order;
* ``sockets`` has ``socket.bind`` ask the supervisor, ``servers`` knows asyncio's servers, what they have and how to make them stop, ``balance`` keeps the workers even;
* ``courtesies`` knows a little of some servers of HTTP: how many requests they have had, and how they tell clients that a connection is about to be closed.
"""
