"""Digits, four layers, in PyTorch: the loss curve of softxent.torch is that of torch.nn.functional, to rounding.

    python examples/train_mlp_torch.py

Replacing the import is all: `import torch.nn.functional as F` → `import softxent.torch as F`.
"""

import sklearn.datasets
import torch

import softxent.torch as F


def data():
    digits = sklearn.datasets.load_digits()
    return torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)


def train(cross_entropy, epochs=8, batch=64):
    """The loss of each step, and the share of the last 297 digits, not trained on, that come out right."""
    torch.manual_seed(0)
    inputs, target = data()
    layers = [torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64), torch.nn.ReLU()]
    layers += [torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(epochs):
        for rows in torch.randperm(1500).split(batch):
            loss = cross_entropy(model(inputs[rows]), target[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, (model(inputs[1500:]).argmax(1) == target[1500:]).float().mean().item()


def main():
    torch.set_num_threads(1)  # the network is small
    ours, right = train(F.cross_entropy)
    theirs, _ = train(torch.nn.functional.cross_entropy)
    print(" step  softxent   PyTorch")
    for step in range(0, len(ours), len(ours) // 8):
        print(f"{step:5}  {ours[step]:.6f}  {theirs[step]:.6f}")
    difference = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    print(f"largest difference in {len(ours)} steps: {difference:.1e};  right: {right:.1%}")


if __name__ == "__main__":
    main()
