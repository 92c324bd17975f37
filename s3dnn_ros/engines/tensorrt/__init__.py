"""TensorRT: its versions, plans, builder and lanes."""
