"""The newest samples as text: Prometheus' format and OpenMetrics."""
