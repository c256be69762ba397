"""Three scores, the second class is right: p, the loss −ln p_y and the gradient p − y that is sent back."""

import numpy as np

import softxent as sx

logits = np.array([1.0, 5.0, 3.0])
target = 1

p = sx.softmax(logits)
loss, grad = sx.cross_entropy_and_grad(logits, target)
print("p      ", p.round(6))
print("loss   ", round(float(loss), 6))
print("p − y  ", grad.round(6))

# One step against the gradient: the loss falls
print("loss of logits − (p − y)", round(float(sx.cross_entropy(logits - grad, target)), 6))
