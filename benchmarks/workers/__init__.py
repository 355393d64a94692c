"""The other contestants. Each takes the legacy entries and sends them over smtplib, as its users would write it."""
