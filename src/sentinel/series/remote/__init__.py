"""Prometheus' remote write, protocol 1.0: samples to and from other stores."""
