"""The read program: the engine, which holds all behaviour, and its HTTP surface."""
