"""The SMTP client: `relay` says where and how, `replies` reads, `connection` opens and closes, `session` sends."""
