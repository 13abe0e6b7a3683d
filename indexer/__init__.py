"""The write program: sources, grounding, pixels, and the pipeline that joins them."""
