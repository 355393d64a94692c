"""A mail: what was pushed or passed, as values, and as the octets that leave. Pure: knows neither Redis nor SMTP."""
