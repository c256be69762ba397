"""Chunks of a last layer's logits, of the size that a test asks for."""

import dataclasses

import softxent.linear.layer
import softxent.numpy.linear
from softxent.linear import linear_plan


def chunks_of(monkeypatch, rows, classes):
    """Lets every call hold chunks of this size; returns linear_plan with them."""

    def forced(r, f, c, **more):
        plan = linear_plan(r, f, c, **more)
        columns = c if more.get("all_classes") else min(classes, c)
        return dataclasses.replace(plan, chunk=(max(1, min(rows, r)), columns))

    monkeypatch.setattr(softxent.linear.layer, "remembered_plan", forced)
    monkeypatch.setattr(softxent.numpy.linear, "SMALL", 0)
    return forced
