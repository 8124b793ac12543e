"""HPS: connecting, checking, submitting, watching and fetching; the only place that imports the public client."""
