"""trueup: where a model's wrong answers get fixed."""

__version__ = "0.1.0"
