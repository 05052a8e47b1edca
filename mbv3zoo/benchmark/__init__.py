"""How fast detectors are here: models x runtimes x sizes x batches, interleaved. See docs/benchmark.md.

`run.benchmark` measures in processes of its own (`worker`), `report.write_report` writes what was measured. This module
imports nothing, so that a process that only opens an exported file stays as small as it is for its users.
"""
