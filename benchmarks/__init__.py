"""What persistable costs, beside the bare libraries and beside other caches: ``python -m benchmarks``."""
