"""The import surface that encoder files written for the benchmark expect: `rlkit.torch` and nothing more.

rlkit itself is abandoned. Names, signatures and behaviour of what is here follow it where an encoder file can see them;
the engine imports this only to recognise an encoder. It is always imported as `rlkit`, one module object.
"""
