"""What mailworker and its peers do a second, measured alike: `python -m benchmarks`. See docs/performance.md."""
