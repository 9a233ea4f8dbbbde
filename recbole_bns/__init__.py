"""Negative samplers for RecBole."""
