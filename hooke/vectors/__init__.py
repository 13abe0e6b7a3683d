"""Where vectors are kept and searched exactly: append-only segments."""
