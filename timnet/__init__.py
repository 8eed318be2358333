"""TIM-Net, its features, its corpora and its honest evaluation: plain Python, no Prefect and no Ray."""

__version__ = "0.1.0"
