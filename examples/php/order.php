<?php
// Plain PHP with the extension redis: what the old programs push, and what they may push besides.
//
//   php order.php ada@example.com 7
//
// The worker obeys `html`, `cc`, `reply_to` and `attachments` where MAILWORKER_LEGACY_FIELDS names them; where it does
// not, they are passed over, as the old daemon did. No path is ever read for an entry: a file is in it, as base64.

declare(strict_types=1);

[, $address, $number] = $argv;
$url = parse_url(getenv('MAILWORKER_REDIS_URL') ?: 'redis://127.0.0.1:6379/0');

$redis = new Redis();
$redis->connect($url['host'], $url['port'] ?? 6379);
$redis->select((int) ltrim($url['path'] ?? '/0', '/'));

$redis->lPush('queue:email', serialize([
    'to' => [$address => 'Ada Lovelace'],
    'subject' => "Ihre Bestellung $number: Grüße",
    'body' => "Danke.\n",
    'html' => '<p>Danke, <b>Ada</b>.</p>',
    'cc' => ['team@example.com'],
    'reply_to' => 'shop@example.com',
    'attachments' => ["Rechnung Müller $number.txt" => base64_encode("Bestellung $number\n")],
]));
