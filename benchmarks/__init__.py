"""Numbers that take minutes or hours to make, stored in `results` for chapters to show.

There is a folder for each question, and one way to run it, from the root of the repository:

    python -m benchmarks.planner [--only PART ...] [--processes N] [--print]

A part that was interrupted goes on where it was if the commit is the same.
"""
