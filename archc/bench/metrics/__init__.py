"""Metrics: numbers of recorded results, with how sure they are. Pure functions of numbers; wrong input is a ValueError.

    intervals    Wilson, bootstrap, paired differences, percentiles
    paired       McNemar's test and the sign test
    pool         pass@k, pass^k, best-of-k, majority@k of one pool of samples
    coverage     the coverage curve, its power law and its beta-binomial fit
    confidence   risk-coverage, AUROC, calibration
    preference   win rates
    ranking      nDCG

Where a metric is a mean over items, its function gives the value of one item. So one way to an interval serves all:
`bootstrap` over the values of the items, which are what was drawn at random from the task.
"""
