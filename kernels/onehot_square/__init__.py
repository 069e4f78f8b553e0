"""Two-layer square networks on pairs of one-hot inputs."""
