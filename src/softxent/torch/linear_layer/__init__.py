"""The last layer and its loss, of tensors: the loop of softxent.linear behind autograd."""
