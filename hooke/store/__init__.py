"""Where records are kept and searched: the contract, and a package for each backend."""
