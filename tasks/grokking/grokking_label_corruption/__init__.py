"""To grok or not to grok: memorisation and generalisation on corrupted algorithmic data sets (arXiv 2310.13061)."""
