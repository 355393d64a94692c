"""Those of Django's own tests of its SMTP backend that are not run with ours, each with its reason."""

_LOGIN = "the relay's login is in MAILWORKER_SMTP_URL, and the worker's"
_TLS = "whether there is TLS is said by the scheme of MAILWORKER_SMTP_URL; ours never goes back to clear text"
_CONNECTION = "no connection to a relay is open in the program: a worker has it"
_HOST = "the relay is in MAILWORKER_SMTP_URL, and the worker's"
_TIME = "the relay's time-outs are settings of the worker"

REASONS: dict[str, str] = {
    "test_auth_attempted": _LOGIN,
    "test_email_authentication_override_settings": _LOGIN,
    "test_email_authentication_use_settings": _LOGIN,
    "test_email_disabled_authentication": _LOGIN,
    "test_email_ssl_attempts_ssl_connection": _TLS,
    "test_email_ssl_certfile_default_disabled": _TLS,
    "test_email_ssl_certfile_override_settings": _TLS,
    "test_email_ssl_certfile_use_settings": _TLS,
    "test_email_ssl_default_disabled": _TLS,
    "test_email_ssl_keyfile_default_disabled": _TLS,
    "test_email_ssl_keyfile_override_settings": _TLS,
    "test_email_ssl_keyfile_use_settings": _TLS,
    "test_email_ssl_override_settings": _TLS,
    "test_email_ssl_use_settings": _TLS,
    "test_email_tls_attempts_starttls": _TLS,
    "test_email_tls_default_disabled": _TLS,
    "test_email_tls_override_settings": _TLS,
    "test_email_tls_use_settings": _TLS,
    "test_ssl_tls_mutually_exclusive": _TLS,
    "test_connection_timeout_custom": _TIME,
    "test_connection_timeout_default": _TIME,
    "test_email_timeout_override_settings": _TIME,
    "test_reopen_connection": _CONNECTION,
    "test_reopen_replaces_partial_connection": _CONNECTION,
    "test_send_messages_after_open_failed": _CONNECTION,
    "test_server_open": _CONNECTION,
    "test_email_msg_uses_crlf": "it looks into smtplib; that lines end in CRLF is asked of every message that is fed",
    # Of Django 6.1.
    "test_serialized_message_uses_crlf_line_ending": "as the one before",
    "test_email_host_override_settings": _HOST,
    "test_email_host_use_settings": _HOST,
    "test_host_option_required": _HOST,
    "test_ignores_settings_when_initialized_with_alias": _HOST,
    "test_port_default_adapts_to_security": _HOST,
    "test_smtp_connection_uses_host_and_port": _HOST,
    "test_email_timeout_use_settings": _TIME,
    "test_smtp_connection_uses_timeout": _TIME,
    "test_ssl_context_uses_ssl_certfile_and_keyfile": _TLS,
    "test_ssl_tls_settings_mutually_exclusive": _TLS,
    "test_prep_address_without_force_ascii": "a function of theirs; ours is asked in tests/unit/mail/test_raw.py",
    "test_rejects_non_ascii_local_part": "ours is sent where the relay has SMTPUTF8",
    "test_direct_construction_deprecated": "a warning about options of SMTP",
}
