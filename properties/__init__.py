"""YAML files: the documented defaults of every sampler, data set and model."""
