"""Trains a tiny language model on Python's own documentation, with the logits of its last layer and without.

PyTorch's loss makes tokens × classes logits, and their gradient; softxent.torch.linear_cross_entropy holds chunks.

    python examples/tiny_lm.py --steps 20  # needs PyTorch: pip install ".[torch]"
"""

import argparse
import re
import resource
from collections import Counter
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F

from softxent.torch import linear_cross_entropy

BATCH, TOKENS, FEATURES = 16, 32, 32


def words() -> tuple[torch.Tensor, int]:
    """The text as numbers of words, and how many different ones there are."""
    text = re.findall(r"\w+|[^\w\s]", " ".join(topics.values()))
    number = {word: k for k, (word, _) in enumerate(Counter(text).most_common())}
    return torch.tensor([number[word] for word in text]), len(number)


def train(loss_of, steps):
    """For each step the loss, and by how much it raised the peak of the process, in MB."""
    torch.manual_seed(0)
    text, classes = words()
    embedding = torch.nn.Embedding(classes, FEATURES)
    torch.nn.init.normal_(embedding.weight, std=0.1)
    recurrent = torch.nn.GRU(FEATURES, FEATURES, batch_first=True)
    optimizer = torch.optim.Adam([*embedding.parameters(), *recurrent.parameters()], 0.01)
    starts = torch.randint(len(text) - TOKENS, (steps, BATCH))
    for ids in text[starts[..., None] + torch.arange(TOKENS + 1)]:
        hidden, _ = recurrent(embedding(ids[:, :-1]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        loss = loss_of(hidden, embedding.weight, ids[:, 1:])  # tied: the head's weight is the embedding's
        optimizer.zero_grad()
        loss.backward()
        yield loss.item(), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        optimizer.step()


def plain(hidden, weight, target):
    return F.cross_entropy(F.linear(hidden, weight).flatten(0, 1), target.flatten())


def in_chunks(hidden, weight, target):
    return linear_cross_entropy(hidden, weight, target, memory_budget=8 * 2**20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    steps = parser.parse_args().steps
    ours, theirs = (list(train(loss_of, steps)) for loss_of in (in_chunks, plain))  # the larger peak last
    print("step   in chunks   plain")
    for step, ((loss, _), (of_plain, _)) in enumerate(zip(ours, theirs, strict=True)):
        print(f"{step:4}      {loss:.4f}  {of_plain:.4f}")
    print(f"the first step's peak rose by {ours[0][1]:.0f} MB in chunks, by {theirs[0][1]:.0f} MB more without")
