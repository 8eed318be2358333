"""Prefect tasks and Ray actors: where and when the work of `timnet` runs."""
