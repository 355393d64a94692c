"""DKIM: `dkim` signs with the `dkim_keys` of the domain in From (`from_domains`), which are read from their files
(`private_keys`), over the `relaxed` form of the message."""
