"""Everything about terms: loading, closure, spelling of ids, names, and grounding of values."""
