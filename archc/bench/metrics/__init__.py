"""Metrics: numbers of recorded results, with how sure they are. Pure functions of numbers; wrong input is a ValueError.

Where a metric is a mean over items, its function gives the value of one item. So one way to an interval serves all:
`bootstrap` over the values of the items, which are what was drawn at random from the task.
"""
