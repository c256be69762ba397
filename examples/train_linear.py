"""Softmax regression in NumPy: the gradient p − y, times the inputs, is all that training a linear layer needs."""

import numpy as np

import softxent as sx

rng = np.random.default_rng(0)
rows, features, classes = 2000, 20, 5
inputs = rng.standard_normal((rows, features))
target = sx.sample(inputs @ rng.standard_normal((features, classes)), rng=rng)  # drawn from a model that can be learnt

weight = np.zeros((features, classes))
for step in range(101):
    loss, grad_logits = sx.cross_entropy_and_grad(inputs @ weight, target)
    if step % 20 == 0:
        print(f"step {step:3}  loss {loss:.4f}")
    weight -= 2.0 * (inputs.T @ grad_logits)  # ∂loss/∂W = xᵀ·∂loss/∂logits

print(f"right: {np.mean((inputs @ weight).argmax(axis=-1) == target):.1%}")
