"""Softmax collapse: a network on (a + b) mod 23, in float32 and without weight decay, trained on past 100 % accuracy.

    python examples/softmax_collapse.py [--plot docs/softmax_collapse.svg]

Once the target leads by about 17, log Σ exp − z_y and p_y − 1 round to 0 in float32: PyTorch's loss of the sample is
0, and so is the gradient of its target's logit. Both networks below start alike and differ in the loss alone; the true
loss of each is computed exactly. Adam forgets quickly (β = 0.9) and its ε is tiny: small gradients still make steps.

Prieto et al., "Grokking at the Edge of Numerical Stability", ICLR 2025 (arXiv 2501.04697), sections 3 and 4.
"""

import argparse

import torch

import softxent.torch as sxt

P, EVERY = 23, 20
LOSSES = {"torch.nn.functional": torch.nn.functional.cross_entropy, "softxent.torch": sxt.cross_entropy}


def data(share=0.6):
    """One-hot pairs (a, b), of which a share is trained on, and their sum."""
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    chosen = torch.randperm(P * P, generator=torch.Generator().manual_seed(0))[: int(share * P * P)]
    return torch.nn.functional.one_hot(pairs, P).flatten(1).float()[chosen], (pairs.sum(1) % P)[chosen]


def train(cross_entropy, steps):
    """Of every EVERY-th step: its number, this function's loss, the true one, the share of ∂loss/∂z_y that are 0."""
    torch.manual_seed(0)
    inputs, target = data()
    model = torch.nn.Sequential(torch.nn.Linear(2 * P, 64), torch.nn.ReLU(), torch.nn.Linear(64, P))
    optimizer = torch.optim.Adam(model.parameters(), 0.003, betas=(0.9, 0.9), eps=1e-30)
    for step in range(steps + 1):
        logits = model(inputs)
        logits.retain_grad()
        loss = cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            true = sxt.cross_entropy(logits.detach(), target)
            at_target = logits.grad.gather(1, target[:, None])
            yield step, loss.item(), true.item(), (at_target == 0).float().mean().item()


def plot(curves, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "softxent", "text.color": "#7d8590"})
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, sharex=True, figsize=(7, 5), height_ratios=(2, 1), layout="constrained")
    for (name, rows), colour in zip(curves.items(), ("#e5534b", "#2da44e"), strict=True):
        steps, _, true, collapsed = zip(*rows, strict=True)
        above.semilogy(steps, true, color=colour, label=name)
        below.plot(steps, collapsed, color=colour)
    above.set_ylabel("training loss, computed exactly", color="#7d8590")
    below.set_ylabel("∂loss/∂z_y is 0", color="#7d8590")
    below.set_xlabel("step", color="#7d8590")
    below.yaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    above.legend(frameon=False)
    for axes in (above, below):
        axes.tick_params(colors="#7d8590", which="both")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, transparent=True, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", metavar="FILE", help="draw the curves (needs matplotlib)")
    parser.add_argument("--steps", type=int, default=1600)
    args = parser.parse_args()
    torch.set_num_threads(1)  # the network is small
    curves = {name: list(train(cross_entropy, args.steps)) for name, cross_entropy in LOSSES.items()}
    for name, rows in curves.items():
        print(f"\n{name}\n step   its loss   true loss   ∂loss/∂z_y is 0")
        for step, loss, true, collapsed in rows[:: len(rows) // 8]:
            print(f"{step:5}   {loss:.2e}    {true:.2e}   {collapsed:6.1%}")
    if args.plot:
        plot(curves, args.plot)


if __name__ == "__main__":
    main()
