"""The fault runner: kills, hangs and lies to everything the mail passes, and counts at the relay what arrived.

`python -m trials` runs the whole table, `--short` the form for CI. Each row of the table is a `Row` in `rows.py`: a
stage (real Redis, real workers, a relay, a producer that pushes live), a strike, and what must hold. A strike counts
only when the runner saw that it hit work in hand.
"""
