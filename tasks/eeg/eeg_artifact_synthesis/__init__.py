"""ArtifactGen, arXiv 2509.08188."""
