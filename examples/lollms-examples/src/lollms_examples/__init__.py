"""One small binding of each modality, without a model."""

__version__ = "2.0.0"
