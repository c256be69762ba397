"""watch(loss_fn): warns, while a model trains, of what a loss shows that has gone wrong."""

from softxent.torch.watch.handle import TrainingWarning, Watch, watch

__all__ = ["TrainingWarning", "Watch", "watch"]
