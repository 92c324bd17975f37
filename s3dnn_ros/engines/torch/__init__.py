"""PyTorch: from ONNX to modules, CUDA graphs on lanes, and how much of a GPU kernels fill."""
