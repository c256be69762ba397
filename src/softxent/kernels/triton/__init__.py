"""The passes of the CPU kernel for CUDA and ROCm, in Triton."""
