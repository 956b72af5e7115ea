"""The workloads, a module each: ``run(report)`` measures, the first line of the docstring says what."""
