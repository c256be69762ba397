"""Trains on a table that is larger than memory, or on a cluster: the rows that train are never held together.

survey     a pass over the table: classes, the rows that test, a sample, a row of every value of few
measure    a second one: mean and variance of each feature, what is missing
examples   a third one, which leaves the features in a file, or with the workers
fit        goes over these, once an evaluation or epoch
"""

from softxent.app.streaming.deciding import place_for
from softxent.app.streaming.gathering import gather
from softxent.app.streaming.places import Place

__all__ = ["Place", "gather", "place_for"]
