"""Graded assignments: a master notebook each, from which two versions are made.

`python -m assignments.build` makes them (`make assignments`), `python -m assignments.grade` grades
what students hand in, and `python -m assignments.honest` looks for honest answers that would lose
points. `README.md` says how to use them in a course.
"""
