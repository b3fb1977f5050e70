"""The HTTP service: webhooks in, switches out, the operator's API, health and metrics."""
