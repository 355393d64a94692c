"""Readers of what producers write: PHP's `serialize()` (`php`), `igbinary` and `messagepack` on what they share in
`binary`, and the `compression` around them. Each makes values of octets, and knows no mail."""
