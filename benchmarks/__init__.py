"""Numbers that take minutes or hours to make, stored in `results` for chapters to show.

There is a folder for each question, and one way to run it, from the root of the repository:

    python -m benchmarks.planner [--only PART ...] [--print]
"""
