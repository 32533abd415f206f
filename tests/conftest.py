import oyster  # noqa: F401  makes `rlkit` importable, as in every trial
