"""Trains a tiny language model whose last layer's classes are split over processes, beside the same one in one process.

Each process holds some rows of the head's weight; softxent.torch.parallel.linear_cross_entropy takes the loss over all.

    torchrun --nproc-per-node 2 examples/tiny_lm_parallel.py --steps 20  # needs softxent[torch]
"""

import argparse

import torch
import torch.distributed as dist
from tiny_lm import BATCH, FEATURES, TOKENS, words

from softxent.torch import linear_cross_entropy, parallel


def train(text, classes, steps, part, loss_of):
    """The loss of each step, of a model whose head has the classes in `part`."""
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(classes, FEATURES)
    recurrent = torch.nn.GRU(FEATURES, FEATURES, batch_first=True)
    head = torch.nn.Parameter(0.1 * torch.randn(classes, FEATURES)[part])
    optimizer = torch.optim.Adam([*embedding.parameters(), *recurrent.parameters(), head], 0.01)
    starts = torch.randint(len(text) - TOKENS, (steps, BATCH))
    for ids in text[starts[..., None] + torch.arange(TOKENS + 1)]:
        hidden, _ = recurrent(embedding(ids[:, :-1]))
        loss = loss_of(hidden, head, ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()  # the gradient of `hidden` is summed over the processes: the same bits on each
        optimizer.step()
        yield loss.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    steps = parser.parse_args().steps
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    text, classes = words()
    edges = [classes * k // ranks for k in range(ranks + 1)]  # any split will do, uneven ones too
    part = slice(edges[rank], edges[rank + 1])

    def split(hidden, head, target):
        return parallel.linear_cross_entropy(hidden, head, target, vocab_start=part.start, vocab_total=classes)

    ours = list(train(text, classes, steps, part, split))
    if rank == 0:
        alone = list(train(text, classes, steps, slice(None), linear_cross_entropy))
        print(f"step   {ranks} processes   1 process")
        for step, pair in enumerate(zip(ours, alone, strict=True)):
            print(f"{step:4}        {pair[0]:.5f}     {pair[1]:.5f}")
        apart = max(abs(a - b) for a, b in zip(ours, alone, strict=True))
        print(f"{classes} classes, {part.stop} on the first; losses differ by {apart:.1e} at most")
    dist.destroy_process_group()
