"""Two tiny algorithms, as a user's own packages: what they need of the engine is all that it knows of any algorithm."""
