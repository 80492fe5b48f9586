"""Statistics for `prometheus_client`; the extra ``prometheus``.

    from tornado_unblock import prometheus

    prometheus.register()

What there is, and how, is told in `tornado_unblock.status.prometheus`.
"""

from tornado_unblock.status.prometheus import register

__all__ = ["register"]
