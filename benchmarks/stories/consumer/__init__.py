"""The consumer, measured: a thousand requests, twenty workers, and kill -9."""
