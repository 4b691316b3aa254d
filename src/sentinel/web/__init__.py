"""HTTP: pages, own API, Prometheus-compatible API and /metrics."""
