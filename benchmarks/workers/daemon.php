<?php
// The old daemon's way with a mail: unserialize, a new Swiftmailer transport, a new connection. One process.
// Its own framework (MixPHP) is left out, which only flatters it.
$folder = dirname(dirname(getenv('BENCH_SWIFTMAILER')));
set_include_path($folder . PATH_SEPARATOR . get_include_path());
require getenv('BENCH_SWIFTMAILER');

$url = parse_url(getenv('BENCH_REDIS_URL'));
$redis = new Redis();
$redis->connect($url['host'], $url['port']);
$redis->setOption(Redis::OPT_READ_TIMEOUT, -1);
while (true) {
    $item = $redis->brPop(['queue:email'], 10);
    if (!$item) {
        continue;
    }
    $mail = unserialize($item[1]);
    $transport = new Swift_SmtpTransport('127.0.0.1', (int) getenv('BENCH_SMTP_PORT'));
    $message = (new Swift_Message($mail['subject']))
        ->setFrom(['shop@example.com' => 'The Shop'])
        ->setTo($mail['to'])
        ->setBody($mail['body']);
    (new Swift_Mailer($transport))->send($message);
}
