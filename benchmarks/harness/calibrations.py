"""The calibrations on which benchmarks are run, as parameters that differ from the paper's."""

CALIBRATIONS = {
    "paper": {},
    "other": {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8},
    "quarterly": {"alpha": 0.33, "beta": 0.99, "delta": 0.025, "phi": 0.5},
    "annual": {"alpha": 0.33, "beta": 0.96, "delta": 0.1, "phi": 0.5},
    "risk aversion 2": {"risk_aversion": 2.0},
    "risk aversion 5": {"risk_aversion": 5.0},
    "phi .05": {"phi": 0.05},
    "phi 5": {"phi": 5.0},
    # One that no setting of a solver was chosen on.
    "unseen": {"alpha": 0.25, "beta": 0.97, "delta": 0.15, "phi": 1.3, "risk_aversion": 3.0},
}
