"""Arguments of every server and channel, in one table each.

Source: grpc core 1.85 `channel_arg_names.h`; what each prevents was measured on grpc.aio 1.85.1.
"""

from typing import Any, Final

MESSAGE_LIMIT_BYTES: Final = 16 * 1024 * 1024

SERVER: Final[tuple[tuple[str, Any], ...]] = (
    # Two servers must never share a port silently.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    # A forwarded answer carries nothing more than it did inside, but refusing to send is the worse failure.
    ("grpc.max_send_message_length", 2 * MESSAGE_LIMIT_BYTES),
    # The path of a REST call comes as a header. By default a call is refused by chance above 8 KiB, always above 16.
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.absolute_max_metadata_size", 48 * 1024),
    # With the defaults 43 % of 10,000 streams opened in two seconds got a bare CANCELLED.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 200_000),
    # With probing, 5 to 6 MB are buffered for each reader that stopped reading; without, about 95 KB.
    ("grpc.http2.bdp_probe", 0),
    # A client looks for new replicas only when a connection ends. Calls and streams under way stay on the old one.
    ("grpc.max_connection_age_ms", 600_000),
    # A peer that vanished without a word is found within 20 seconds.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Must stay below the clients' keepalive time, or they are told ENHANCE_YOUR_CALM.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)

CHANNEL: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 2 * MESSAGE_LIMIT_BYTES),
    ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A service that restarts is back within a second; the default waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)
