"""Compiled loops for economies of many households that save: one rule, and all of them.

They serve :mod:`lectures_lib.solvers.saving`. Axes are, in this order, the aggregate state z,
employment e (0 without work), mean capital and a household's own; z' and e' are the next period's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .saving import lagrange_weights

weights = njit(cache=True)(lagrange_weights)


@njit(cache=True, error_model="numpy")
def place(grid, x):
    """The first of four neighbours of a point on an even grid, and their weights.

    Beyond its ends the grid's first or last point is taken. A grid may be one point alone.
    """
    n = len(grid)
    if n == 1:
        return 0, (1.0, 0.0, 0.0, 0.0)
    step = (grid[n - 1] - grid[0]) / (n - 1)
    away = (min(max(x, grid[0]), grid[n - 1]) - grid[0]) / step
    first = min(max(int(away) - 1, 0), n - 4)
    return first, weights(away - first - 1)


@njit(cache=True, error_model="numpy")
def between(columns, first, shares, i):
    """A number between those of four columns (means, own)."""
    found = shares[0] * columns[first, i]
    if len(columns) > 1:
        for k in range(1, 4):
            found += shares[k] * columns[first + k, i]
    return found


@njit(cache=True, error_model="numpy")
def saving_step(saved, own, means, gross, earned, forecast, following, chance, beta, sigma):
    """One step of time iteration by endogenous grid points (Carroll 2006).

    Parameters
    ----------
    saved : ndarray, shape (z, e, means, own)
        What households take home to the next period, if they begin this one with `own` capital.
    own, means : ndarray
        Grids of own capital and of the logarithm of the mean, an even one.
    gross, earned : ndarray, shape (z, means) and (z, e, means)
        What a unit of capital returns, and what is earned beside.
    forecast : ndarray, shape (z, means)
        Of the logarithm of the next mean.
    following : ndarray, shape (z, means, z', 3)
        What a unit of capital returns next period at that mean, and what each e earns.
    chance : ndarray, shape (z, e, z', e')
    beta, sigma : float

    Returns
    -------
    ndarray, shape (z, e, means, own)
        What is saved today if `saved` is what will be saved.
    """
    n = len(own)
    new = np.empty_like(saved)
    marginal = np.empty(2)
    consumed, needed = np.empty((saved.shape[0], 2, n)), np.empty(n)
    for z in range(saved.shape[0]):
        for m in range(len(means)):
            first, shares = place(means, forecast[z, m])
            for y in range(saved.shape[0]):
                for d in range(2):
                    for i in range(n):
                        later = between(saved[y, d], first, shares, i)
                        rich = following[z, m, y, 0] * own[i] + following[z, m, y, 1 + d]
                        # Between means a polynomial may be a little above what all have.
                        consumed[y, d, i] = max(rich - later, 1e-9 * rich)
            for e in range(2):
                for i in range(n):
                    worth = 0.0
                    for y in range(saved.shape[0]):
                        for d in range(2):
                            c = consumed[y, d, i]
                            marginal[d] = 1 / c if sigma == 1.0 else c**-sigma
                        both = chance[z, e, y, 0] * marginal[0] + chance[z, e, y, 1] * marginal[1]
                        worth += following[z, m, y, 0] * both
                    worth *= beta
                    c = 1 / worth if sigma == 1.0 else worth ** (-1 / sigma)
                    needed[i] = own[i] + c
                high = 1
                for i in range(n):
                    rich = gross[z, m] * own[i] + earned[z, e, m]
                    if rich <= needed[0] or rich >= needed[n - 1]:
                        # The end of the grid bounds what is saved, as zero does: a line beyond
                        # would leave open how much the very rich eat.
                        new[z, e, m, i] = own[0] if rich <= needed[0] else own[n - 1]
                        continue
                    while high < n - 1 and needed[high] < rich:
                        high += 1
                    part = (rich - needed[high - 1]) / (needed[high] - needed[high - 1])
                    new[z, e, m, i] = own[high - 1] + part * (own[high] - own[high - 1])
    return new


@njit(cache=True, error_model="numpy")
def follow(saved, own, means, cells, mass, chance, path):
    """All households of a continuum for some periods, as a histogram (Young 2010).

    Who saves an amount between two cells is divided between them such that the mean is kept.

    Parameters
    ----------
    saved, own, means, chance : ndarray
        As for :func:`saving_step`.
    cells : ndarray
        Rising amounts of capital.
    mass : ndarray, shape (e, cells)
        Households at the beginning; it is overwritten by those at the end.
    path : ndarray of int
        Aggregate states.

    Returns
    -------
    ndarray, shape (len(path),)
        Mean capital in each period.
    """
    n, found = len(cells), np.empty(len(path))
    # What is saved from each cell, at each mean of the grid.
    kept = np.empty((saved.shape[0], 2, len(means), n))
    for z in range(saved.shape[0]):
        for e in range(2):
            for m in range(len(means)):
                kept[z, e, m] = np.interp(cells, own, saved[z, e, m])
    there = np.empty((2, n))
    for t in range(len(path)):
        z = path[t]
        total = 0.0
        for i in range(n):
            total += cells[i] * (mass[0, i] + mass[1, i])
        found[t] = total
        if t == len(path) - 1:
            break
        first, shares = place(means, np.log(total))
        there[:] = 0.0
        for e in range(2):
            j = 0
            for i in range(n):
                if mass[e, i] == 0.0:
                    continue
                k = between(kept[z, e], first, shares, i)
                k = min(max(k, cells[0]), cells[n - 1])
                while j < n - 2 and cells[j + 1] < k:
                    j += 1
                part = (k - cells[j]) / (cells[j + 1] - cells[j])
                there[e, j] += (1 - part) * mass[e, i]
                there[e, j + 1] += part * mass[e, i]
        y = path[t + 1]
        odds = chance[z, 0, y].sum()
        for d in range(2):
            stay, come = chance[z, 0, y, d] / odds, chance[z, 1, y, d] / odds
            for i in range(n):
                mass[d, i] = stay * there[0, i] + come * there[1, i]
    return found
